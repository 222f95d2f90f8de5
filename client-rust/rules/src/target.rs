//! What a channel connects to.

use crate::name::{ENDPOINT, NAMESPACE, SERVICE};

const TARGET_SCHEME: &str = "muster:";
const TARGET_PREFIX: &str = "muster:///";

/// What a channel connects to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The namespace of the service.
    pub namespace: String,
    /// The name of the service.
    pub service: String,
    /// The name of the endpoint that is called; empty is the first that fits the transport.
    pub endpoint: String,
}

impl Target {
    /// Reads `muster:///namespace/service`, optionally followed by `?endpoint=NAME`. Every byte
    /// stands for itself: there are no escapes, and `+` is no space. What else a target holds is
    /// refused, so that it may mean something one day.
    ///
    /// # Errors
    ///
    /// Where and why the text is no target.
    pub fn parse(text: &str) -> Result<Target, String> {
        let Some(rest) = text.strip_prefix(TARGET_PREFIX) else {
            if text.starts_with(TARGET_SCHEME) {
                return Err(format!(
                    "byte {}: after muster: come three slashes and no server",
                    TARGET_SCHEME.len()
                ));
            }
            return Err("byte 0: it does not begin with muster:///".into());
        };
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let (namespace, service) = match path.split_once('/') {
            Some((namespace, service)) => (namespace, Some(service)),
            None => (path, None),
        };
        let at = TARGET_PREFIX.len();
        NAMESPACE.check(namespace, at)?;
        let at = at + namespace.len();
        let service = service.ok_or_else(|| format!("byte {at}: the service is missing"))?;
        SERVICE.check(service, at + 1)?;
        let endpoint = match query {
            Some(query) => endpoint(query, at + "/?".len() + service.len())?,
            None => "",
        };
        Ok(Target {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            endpoint: endpoint.to_owned(),
        })
    }
}

/// Reads what follows the question mark, which begins at byte `at`.
fn endpoint(query: &str, at: usize) -> Result<&str, String> {
    let name = query
        .strip_prefix("endpoint=")
        .ok_or_else(|| format!("byte {at}: only endpoint=NAME may follow the question mark"))?;
    ENDPOINT.check(name, at + "endpoint=".len())?;
    Ok(name)
}
