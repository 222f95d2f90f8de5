//! The hook for telemetry: [`Observer`].

use http::{HeaderName, HeaderValue};

use crate::event::Event;

/// Is told what a client does. It names no telemetry library: the crate `muster-client-otel` makes
/// one for OpenTelemetry.
///
/// Its methods are called synchronously by the task that did something, without any lock of the
/// client held. They must not block, and must not call what waits. The events of one registration,
/// and those of one view, come in order.
pub trait Observer: Send + Sync + 'static {
    /// Takes one event.
    fn observe(&self, event: &Event<'_>);

    /// What is sent with a call to the registry that the caller's task makes: `traceparent` joins
    /// the changes that the call makes to the caller's trace. It is asked while the caller's future
    /// is polled. Names that gRPC or Muster own, and values that are not printable ASCII, are left
    /// out. None by default.
    fn headers(&self) -> Vec<Header> {
        Vec::new()
    }
}

/// A name and a value that a call carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Header {
    /// The name in lower case, such as `traceparent`.
    pub name: String,
    /// The value, in printable ASCII.
    pub value: String,
}

impl Header {
    /// A header.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Header {
        Header {
            name: name.into(),
            value: value.into(),
        }
    }

    /// Whether an observer may send it.
    pub(crate) fn is_sendable(&self) -> bool {
        let in_name =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let reserved = self.name.is_empty()
            || self.name == "authorization"
            || self.name.starts_with("grpc-")
            || self.name.starts_with("muster-")
            || self.name.ends_with("-bin");
        !reserved
            && self.name.chars().all(in_name)
            && self.value.chars().all(|c| (' '..='~').contains(&c))
    }

    /// Its form in HTTP; none if it may not be sent.
    pub(crate) fn to_http(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((
            HeaderName::from_bytes(self.name.as_bytes()).ok()?,
            HeaderValue::from_str(&self.value).ok()?,
        ))
    }
}
