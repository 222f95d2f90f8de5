//! The life of one endpoint's connection, as a pure function.
//!
//! [`connection`] decides; the endpoint's task does what it says. Times are milliseconds of any
//! clock that does not run backwards, randomness is a word that the caller brings: equal input
//! gives equal output, in this library and in the one for Go.

use crate::backoff;

/// A connection that lived this long earned an immediate second one.
pub(crate) const STABLE_MS: u64 = 10_000;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No connection, and none is wanted.
    Idle,
    /// An attempt is under way; the peer has not spoken HTTP/2 yet.
    Connecting,
    /// The peer's settings have arrived: requests can be sent.
    Ready,
    /// Waiting before the next attempt.
    Backoff,
}

/// All that the decision remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// When `phase` was entered.
    pub(crate) since_ms: u64,
    /// Failures since the last connection that lived long enough.
    pub(crate) failures: u32,
    /// Whether a connection is to be opened when there is none.
    pub(crate) wanted: bool,
}

impl State {
    pub(crate) const NEW: Self = Self {
        phase: Phase::Idle,
        since_ms: 0,
        failures: 0,
        wanted: false,
    };
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The endpoint takes traffic.
    Wanted,
    /// The endpoint takes no new traffic.
    Unwanted,
    /// Another process is behind the address now.
    Renewed,
    /// The attempt succeeded.
    Opened,
    /// The attempt failed.
    Failed,
    /// The connection takes no more requests: it broke, or the peer said that it is leaving.
    Lost,
    /// The delay asked for is over.
    Elapsed,
}

/// What the connection's task has to do. Each replaces what the one before started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Go on.
    None,
    /// Start an attempt, in place of a running one.
    Dial,
    /// Report [`Event::Elapsed`] after this many milliseconds.
    Sleep(u64),
    /// Give up the running attempt or delay.
    Abandon,
}

/// Decides what follows on `event` at `now_ms`, with a uniformly random `word`.
///
/// An event that means nothing in the present phase changes nothing: the task may deliver one that
/// was overtaken.
pub(crate) fn connection(state: State, event: Event, now_ms: u64, word: u64) -> (State, Action) {
    use Phase::{Backoff, Connecting, Idle, Ready};
    let noted = note(state, event);
    let enter = |phase, failures| State {
        phase,
        failures,
        since_ms: now_ms,
        ..noted
    };
    let stable = now_ms.saturating_sub(state.since_ms) >= STABLE_MS;
    match (state.phase, event) {
        (Idle, Event::Wanted)
        | (Connecting | Backoff, Event::Renewed)
        | (Backoff, Event::Elapsed) => (enter(Connecting, noted.failures), Action::Dial),
        (Connecting | Backoff, Event::Unwanted) => (enter(Idle, 0), Action::Abandon),
        (Connecting, Event::Opened) => (enter(Ready, noted.failures), Action::None),
        (Ready, Event::Lost) if !noted.wanted => (enter(Idle, 0), Action::None),
        (Ready, Event::Lost) if stable => (enter(Connecting, 0), Action::Dial),
        (Connecting, Event::Failed) | (Ready, Event::Lost) => {
            let delay = backoff::delay(noted.failures, backoff::CAP, word);
            let failures = noted.failures.saturating_add(1);
            (
                enter(Backoff, failures),
                Action::Sleep(backoff::millis(delay)),
            )
        }
        _ => (noted, Action::None),
    }
}

/// What an event changes in any phase.
fn note(state: State, event: Event) -> State {
    match event {
        Event::Wanted => State {
            wanted: true,
            ..state
        },
        Event::Unwanted => State {
            wanted: false,
            ..state
        },
        Event::Renewed => State {
            failures: 0,
            ..state
        },
        Event::Opened | Event::Failed | Event::Lost | Event::Elapsed => state,
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
