//! What the errors of calls to a server mean.

use crate::codes::{
    ABORTED, ALREADY_EXISTS, CANCELLED, Code, DEADLINE_EXCEEDED, FAILED_PRECONDITION, INTERNAL,
    INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE, PERMISSION_DENIED, RESOURCE_EXHAUSTED,
    UNAUTHENTICATED, UNAVAILABLE, UNIMPLEMENTED, UNKNOWN,
};

/// What may help after an error: the column "retryable" of docs/errors.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "SCREAMING_SNAKE_CASE")
)]
pub enum Class {
    /// The same call will fail again.
    No,
    /// The same call may succeed later.
    Yes,
    /// The same call may succeed at another server now.
    Elsewhere,
    /// A changed call may succeed.
    Changed,
    /// For this instance or server it is over.
    Final,
}

/// One line of the tables of docs/errors.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name; empty if there is none.
    pub reason: &'static str,
    /// The code of gRPC that it travels under.
    pub code: Code,
    /// What may help.
    pub class: Class,
    /// Whether this client prefers another server from then on.
    pub next_server: bool,
}

impl Row {
    /// Whether the same call may succeed, later or elsewhere.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.class, Class::Yes | Class::Elsewhere)
    }
}

const fn row(reason: &'static str, code: Code, class: Class, next_server: bool) -> Row {
    Row {
        reason,
        code,
        class,
        next_server,
    }
}

/// The tables of docs/errors.md, in their order.
pub const ROWS: &[Row] = &[
    row("INVALID_ARGUMENT", INVALID_ARGUMENT, Class::No, false),
    row("INVALID_ENDPOINT", INVALID_ARGUMENT, Class::No, false),
    row("LIMIT_EXCEEDED", RESOURCE_EXHAUSTED, Class::No, false),
    row("RESULT_TOO_LARGE", OUT_OF_RANGE, Class::No, false),
    row("FEATURE_NOT_SERVED", UNIMPLEMENTED, Class::No, false),
    row("PROTOCOL_NOT_SERVED", FAILED_PRECONDITION, Class::No, true),
    row("INSTANCE_EXISTS", ALREADY_EXISTS, Class::Changed, false),
    row("FENCED", FAILED_PRECONDITION, Class::Final, false),
    row("LEASE_UNKNOWN", NOT_FOUND, Class::Changed, false),
    row("INSTANCE_UNKNOWN", NOT_FOUND, Class::No, false),
    row("CONFLICT", ABORTED, Class::Yes, false),
    row("DRAIN_CANCELLED", ABORTED, Class::No, false),
    row("EPOCH_CHANGED", ABORTED, Class::Changed, false),
    row("VIEW_BEHIND", UNAVAILABLE, Class::Elsewhere, true),
    row("EPOCH_BEHIND", UNAVAILABLE, Class::Elsewhere, true),
    row("WRONG_CLUSTER", FAILED_PRECONDITION, Class::Final, true),
    row("STREAM_UNKNOWN", NOT_FOUND, Class::Changed, false),
    row("SHUTTING_DOWN", UNAVAILABLE, Class::Elsewhere, true),
    row("ISOLATED", UNAVAILABLE, Class::Elsewhere, true),
    row("STORE_FULL", UNAVAILABLE, Class::Yes, false),
    row("STORE_FAILED", UNAVAILABLE, Class::Elsewhere, true),
    row("OVERLOADED", RESOURCE_EXHAUSTED, Class::Yes, false),
    row("UNAUTHENTICATED", UNAUTHENTICATED, Class::Changed, false),
    row("FORBIDDEN", PERMISSION_DENIED, Class::No, false),
    row("INTERNAL", INTERNAL, Class::No, false),
    //
    row("NO_SERVER", UNAVAILABLE, Class::Yes, false),
    row("SERVICE_UNKNOWN", NOT_FOUND, Class::Yes, false),
    row("NO_INSTANCES", UNAVAILABLE, Class::Yes, false),
    row("NO_READY_ENDPOINT", UNAVAILABLE, Class::Yes, false),
    row("NO_VIEW", UNAVAILABLE, Class::Yes, false),
    row("CLOSED", CANCELLED, Class::Final, false),
    row("DEADLINE", DEADLINE_EXCEEDED, Class::Yes, true),
    row("LEASE_EXPIRED", FAILED_PRECONDITION, Class::Changed, false),
    row("CANCELLED", CANCELLED, Class::No, false),
    row("PROTOCOL_VIOLATION", INTERNAL, Class::Yes, true),
];

/// Marks the details of errors that Muster itself decided.
pub const ERROR_DOMAIN: &str = "muster";

/// The row of a reason.
#[must_use]
pub fn row_of(reason: &str) -> Option<Row> {
    ROWS.iter().find(|row| row.reason == reason).copied()
}

/// Tells what a status means: its code, and the domain and the reason of its `ErrorInfo`, empty if
/// it has none. A reason of ours keeps the code that came with it. Any other status goes by its
/// code alone, and the reason is empty if none stands for that code.
#[must_use]
pub fn map_error(code: Code, domain: &str, reason: &str) -> Row {
    if domain == ERROR_DOMAIN
        && let Some(row) = row_of(reason)
    {
        return Row { code, ..row };
    }
    row_of_code(code)
}

/// Stands in for a status without a reason of ours: a proxy's or a gRPC library's.
fn row_of_code(code: Code) -> Row {
    match code {
        DEADLINE_EXCEEDED => row("DEADLINE", code, Class::Yes, true),
        UNAUTHENTICATED => row("UNAUTHENTICATED", code, Class::Changed, false),
        PERMISSION_DENIED => row("FORBIDDEN", code, Class::No, false),
        INVALID_ARGUMENT => row("INVALID_ARGUMENT", code, Class::No, false),
        // The first two are a reset of the stream or the connection, by the server or by something
        // between.
        CANCELLED | UNKNOWN | UNAVAILABLE => row("", UNAVAILABLE, Class::Elsewhere, true),
        ABORTED | RESOURCE_EXHAUSTED => row("", code, Class::Yes, false),
        _ => row("", code, Class::No, false),
    }
}
