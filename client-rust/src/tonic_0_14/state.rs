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
    use Event::{Elapsed, Failed, Lost, Opened, Renewed, Unwanted, Wanted};
    use Phase::{Backoff, Connecting, Idle, Ready};
    let mut next = match event {
        Wanted => State {
            wanted: true,
            ..state
        },
        Unwanted => State {
            wanted: false,
            ..state
        },
        Renewed => State {
            failures: 0,
            ..state
        },
        Opened | Failed | Lost | Elapsed => state,
    };
    let enter = |next: &mut State, phase| {
        next.phase = phase;
        next.since_ms = now_ms;
    };
    let action = match (state.phase, event) {
        (Idle, Wanted) | (Connecting | Backoff, Renewed) | (Backoff, Elapsed) => {
            enter(&mut next, Connecting);
            Action::Dial
        }
        (Connecting | Backoff, Unwanted) => {
            enter(&mut next, Idle);
            next.failures = 0;
            Action::Abandon
        }
        (Connecting, Opened) => {
            enter(&mut next, Ready);
            Action::None
        }
        (Ready, Lost) if !next.wanted => {
            enter(&mut next, Idle);
            next.failures = 0;
            Action::None
        }
        (Ready, Lost) if now_ms.saturating_sub(state.since_ms) >= STABLE_MS => {
            next.failures = 0;
            enter(&mut next, Connecting);
            Action::Dial
        }
        (Connecting, Failed) | (Ready, Lost) => {
            next.failures = next.failures.saturating_add(1);
            enter(&mut next, Backoff);
            let delay = backoff::delay(next.failures - 1, backoff::CAP, word);
            Action::Sleep(backoff::millis(delay))
        }
        _ => Action::None,
    };
    (next, action)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
