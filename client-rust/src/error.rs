//! The one error type of this crate.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use crate::reason::{Code, Reason};

/// Anything that can go wrong, with a [`Reason`] for machines and a text for people.
///
/// The text names the object, the value, the cause and the next step, and ends with the reason in
/// brackets. Match on [`Error::reason`], never on the text. Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    reason: Reason,
    code: Code,
    message: String,
    /// What it says instead once nobody retries any more.
    given_up: Option<String>,
    server: Option<String>,
    retry_after: Option<Duration>,
    details: BTreeMap<String, String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this reason, with the reason's own code.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Error {
        Error::with_code(reason, reason.code(), message)
    }

    /// An error whose code came from elsewhere.
    pub(crate) fn with_code(reason: Reason, code: Code, message: impl Into<String>) -> Error {
        Error(Arc::new(Inner {
            reason,
            code,
            message: message.into(),
            given_up: None,
            server: None,
            retry_after: None,
            details: BTreeMap::new(),
            source: None,
        }))
    }

    fn edit(mut self, f: impl FnOnce(&mut Inner)) -> Error {
        // Builders run before the error is shared, so that there is always one owner.
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            f(inner);
        }
        self
    }

    /// Says what to say once nobody retries any more.
    pub(crate) fn or_when_given_up(self, message: String) -> Error {
        self.edit(|i| i.given_up = Some(message))
    }

    /// The same for a caller whose time is over, if it says something else then.
    pub(crate) fn given_up(&self) -> Option<Error> {
        let message = self.0.given_up.clone()?;
        Some(Error::with_code(self.0.reason, self.0.code, message))
    }

    /// The text with the reason, without the prefix.
    pub(crate) fn text(&self) -> String {
        match self.0.reason {
            Reason::Unknown => format!("{} [{}]", self.0.message, self.0.code),
            reason => format!("{} [{reason}]", self.0.message),
        }
    }

    /// Names the server that the error came from.
    pub(crate) fn at(self, server: impl Into<String>) -> Error {
        self.edit(|i| i.server = Some(server.into()))
    }

    /// Says when to try again.
    pub(crate) fn after(self, wait: Option<Duration>) -> Error {
        self.edit(|i| i.retry_after = wait)
    }

    /// Adds what the server said for machines.
    pub(crate) fn with_details(self, details: BTreeMap<String, String>) -> Error {
        self.edit(|i| i.details = details)
    }

    /// Keeps the cause.
    pub(crate) fn caused_by(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.edit(|i| i.source = Some(source.into()))
    }

    /// The cause for machines.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The gRPC code: that of the server's answer, or the one that belongs to the reason.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.reason.is_retryable(self.0.code)
    }

    /// Whether another server may answer better, at once.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.0.reason.is_elsewhere(self.0.code)
    }

    /// How long the server asked to wait before the next attempt.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The address of the server that the error came from, if it came from one.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.0.server.as_deref()
    }

    /// The text without prefix and reason.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the server said for machines under this key, such as `incarnation`.
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.0.details.get(key).map(String::as_str)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "muster: {}", self.text())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("reason", &self.0.reason)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("server", &self.0.server)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_shows_text_and_reason() {
        let e = Error::new(
            Reason::Fenced,
            "fenced by lease 9f40 from 10.0.3.7:51122; giving up",
        )
        .at("10.0.0.5:7070")
        .after(Some(Duration::from_secs(1)))
        .with_details([("incarnation".to_owned(), "812".to_owned())].into())
        .caused_by(std::io::Error::other("inner"));
        assert_eq!(
            e.to_string(),
            "muster: fenced by lease 9f40 from 10.0.3.7:51122; giving up [FENCED]"
        );
        assert_eq!(e.code(), Code::FailedPrecondition);
        assert!(!e.is_retryable());
        assert_eq!(e.server(), Some("10.0.0.5:7070"));
        assert_eq!(e.detail("incarnation"), Some("812"));
        assert_eq!(e.retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(e.source().expect("a source").to_string(), "inner");
        fn is_error<T: StdError + Send + Sync + Clone + 'static>() {}
        is_error::<Error>();
    }
}
