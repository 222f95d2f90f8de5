//! The one error type of this crate.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::messages;
pub use crate::reason::{Code, Reason};

/// Anything that can go wrong, with a [`Reason`] for machines and a text for people.
///
/// The text names the object, the value, the cause and the next step, and ends with the reason in
/// brackets. Match on [`Error::reason`], never on the text. Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    reason: Reason,
    code: Code,
    op: String,
    subject: String,
    message: String,
    /// What it says instead once nobody retries any more.
    given_up: Option<String>,
    server: Option<String>,
    retry_after: Option<Duration>,
    details: BTreeMap<String, String>,
    violations: Vec<Violation>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The path of the field, such as `instances[0].endpoints[1].address`.
    pub field: String,
    /// What is wrong and what is allowed.
    pub problem: String,
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
            op: String::new(),
            subject: String::new(),
            message: message.into(),
            given_up: None,
            server: None,
            retry_after: None,
            details: BTreeMap::new(),
            violations: Vec::new(),
            source: None,
        }))
    }

    /// Edits this one; clones that were made before stay as they are.
    fn edit(mut self, f: impl FnOnce(&mut Inner)) -> Error {
        f(Arc::make_mut(&mut self.0));
        self
    }

    /// Says what to say once nobody retries any more.
    pub(crate) fn or_when_given_up(self, message: String) -> Error {
        self.edit(|i| i.given_up = Some(message))
    }

    /// The same for a caller whose time is over, if it says something else then.
    pub(crate) fn given_up(&self) -> Option<Error> {
        let message = self.0.given_up.clone()?;
        let error = Error::with_code(self.0.reason, self.0.code, message);
        Some(error.about(&self.0.op, &self.0.subject))
    }

    /// The text with the reason, without the prefix.
    pub(crate) fn text(&self) -> String {
        match self.0.reason {
            Reason::Unknown => format!("{} [{}]", self.0.message, self.0.code),
            reason => format!("{} [{reason}]", self.0.message),
        }
    }

    /// Says what was attempted, and what it was about.
    pub(crate) fn about(self, op: &str, subject: impl Into<String>) -> Error {
        self.edit(|i| (i.op, i.subject) = (op.to_owned(), subject.into()))
    }

    /// What everything returns after its end: `client`, `registration` or `subscription`.
    pub(crate) fn closed(object: &str) -> Error {
        Error::new(Reason::Closed, messages::closed(object)).about("", object)
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

    /// Adds the fields that the server found wrong.
    pub(crate) fn with_violations(self, violations: Vec<Violation>) -> Error {
        self.edit(|i| i.violations = violations)
    }

    /// Keeps the cause.
    pub(crate) fn caused_by(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.edit(|i| i.source = Some(Arc::from(source.into())))
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

    /// What was attempted, such as `register`; may be empty.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.0.op
    }

    /// What it was about, such as `shop/pay/pay-7`; may be empty.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.reason.is_retryable(self.0.code)
    }

    /// What the rule of errors says of it.
    pub(crate) fn row(&self) -> muster_rules::errors::Row {
        self.0.reason.row(self.0.code)
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

    /// Each wrong field of an `INVALID_ARGUMENT`, if a server named them.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
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
            .field("op", &self.0.op)
            .field("subject", &self.0.subject)
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
        .about("register", "shop/pay/pay-7")
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
        assert_eq!((e.op(), e.subject()), ("register", "shop/pay/pay-7"));
        assert_eq!(e.server(), Some("10.0.0.5:7070"));
        assert_eq!(e.detail("incarnation"), Some("812"));
        assert_eq!(e.retry_after(), Some(Duration::from_secs(1)));
        assert_eq!(e.source().expect("a source").to_string(), "inner");
        fn is_error<T: StdError + Send + Sync + Clone + 'static>() {}
        is_error::<Error>();
    }
}
