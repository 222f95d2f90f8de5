//! Services that are replaced by addresses.

use std::collections::BTreeSet;

use crate::address::{AddressKind, kind_of_address};
use crate::name::{NAMESPACE, SERVICE};
use crate::quote::quote;

/// Replaces the instances of one service by addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The namespace of the service.
    pub namespace: String,
    /// The name of the service.
    pub service: String,
    /// `host:port`, in the order given, at least one.
    pub addresses: Vec<String>,
}

/// Reads `shop/pay=localhost:9000;shop/cart=10.0.0.1:80,10.0.0.2:80`: services joined by `;`,
/// addresses by `,`. Spaces around each are ignored, and so is a `;` at the end.
///
/// # Errors
///
/// Where and why the text means nothing.
pub fn parse_overrides(text: &str) -> Result<Vec<Override>, String> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut at, mut rest) = (0, Some(text));
    while let Some(text) = rest {
        let (part, after) = match text.split_once(';') {
            Some((part, after)) => (part, Some(after)),
            None => (text, None),
        };
        if !part.trim_matches(' ').is_empty() || after.is_some() {
            let one = parse_override(part, at)?;
            let name = format!("{}/{}", one.namespace, one.service);
            if seen.contains(&name) {
                return Err(format!("byte {at}: {name} is given twice"));
            }
            seen.insert(name);
            all.push(one);
        }
        at += part.len() + ";".len();
        rest = after;
    }
    Ok(all)
}

/// Reads one service, which begins at byte `at` of the whole.
fn parse_override(part: &str, at: usize) -> Result<Override, String> {
    let (names, addresses) = part.split_once('=').ok_or_else(|| {
        format!(
            "byte {at}: {} has no '='; write namespace/service=host:port",
            quote(part)
        )
    })?;
    let begin = at + leading_spaces(names);
    let name = names.trim_matches(' ');
    let (namespace, service) = name
        .split_once('/')
        .ok_or_else(|| format!("byte {begin}: {} is no namespace/service", quote(name)))?;
    NAMESPACE.check(namespace, begin)?;
    SERVICE.check(service, begin + namespace.len() + 1)?;
    let mut at = at + names.len() + "=".len();
    let mut checked = Vec::new();
    for address in addresses.split(',') {
        let trimmed = address.trim_matches(' ');
        if kind_of_address(trimmed) != AddressKind::Dialable {
            return Err(format!(
                "byte {}: {} is no host:port, such as localhost:9000",
                at + leading_spaces(address),
                quote(trimmed)
            ));
        }
        checked.push(trimmed.to_owned());
        at += address.len() + ",".len();
    }
    Ok(Override {
        namespace: namespace.to_owned(),
        service: service.to_owned(),
        addresses: checked,
    })
}

fn leading_spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}
