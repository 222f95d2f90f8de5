//! What the end of a call says about its endpoint.

use crate::codes::{CANCELLED, Code, DATA_LOSS, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, UNKNOWN};

/// The time that an endpoint must have had a call for its deadline to say anything about the
/// endpoint.
pub const SHORT_MS: i64 = 100;

/// What the end of a call, or of an attempt to connect, says about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "SCREAMING_SNAKE_CASE")
)]
pub enum Outcome {
    /// Nothing.
    Ignored,
    /// The endpoint works.
    Success,
    /// The endpoint failed; several in a row mean that it does not work.
    Failure,
    /// Nobody takes connections there.
    Refused,
    /// Somebody takes connections there.
    Connected,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The status, as the caller sees it.
    pub code: Code,
    /// Whether the call was handed to a connection of the endpoint.
    pub sent: bool,
    /// Whether the endpoint sent response headers.
    pub answered: bool,
    /// For how long the endpoint had the call.
    pub held_ms: i64,
}

/// Classifies the end of a call.
///
/// Codes that tell of the call, and not of the endpoint, are successes: the endpoint answered. A
/// call that its caller gave up says nothing. A deadline counts only if the endpoint kept silent,
/// and had time not to.
#[must_use]
pub fn outcome_of(e: Ending) -> Outcome {
    if !e.sent {
        return Outcome::Ignored;
    }
    match e.code {
        CANCELLED => Outcome::Ignored,
        DEADLINE_EXCEEDED if e.answered || e.held_ms < SHORT_MS => Outcome::Ignored,
        DEADLINE_EXCEEDED | UNKNOWN | INTERNAL | UNAVAILABLE | DATA_LOSS => Outcome::Failure,
        _ if e.answered => Outcome::Success,
        // A library of this process decided, such as on a message that is too large.
        _ => Outcome::Ignored,
    }
}
