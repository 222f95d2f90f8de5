//! The life of one endpoint's connection.

use crate::backoff::{BACKOFF_CAP_MS, delay};
use crate::elapsed::elapsed;

/// How long a connection must have lived for a second one to follow at once.
pub const STABLE_MS: i64 = 10_000;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "SCREAMING_SNAKE_CASE")
)]
pub enum Phase {
    /// No connection, and none is wanted.
    #[default]
    Idle,
    /// An attempt is under way; the peer has not spoken HTTP/2 yet.
    Connecting,
    /// The peer's settings have arrived, so calls can be sent.
    Ready,
    /// Before the next attempt.
    Backoff,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "SCREAMING_SNAKE_CASE")
)]
pub enum Event {
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
    /// The connection takes no more calls. It broke, or the peer said that it is leaving.
    Lost,
    /// The wait that was asked for is over.
    Elapsed,
}

/// What the connection's owner has to do. Each replaces what the one before started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Start an attempt, in place of a running one.
    Dial,
    /// Report [`Event::Elapsed`] after so many milliseconds.
    Wait(i64),
    /// Give up the running attempt or wait.
    Abandon,
}

/// All that is remembered of a connection. The default is one that is not wanted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Connection {
    /// Where it is.
    pub phase: Phase,
    /// When `phase` was entered.
    pub since_ms: i64,
    /// Failures since the last connection that lived long enough.
    pub failures: u32,
    /// Whether a connection is to be opened when there is none.
    pub wanted: bool,
}

/// Decides what follows on an event at `now_ms`: the next state, and what to do. An event that
/// means nothing in the present phase changes nothing: the owner may deliver one that was
/// overtaken.
#[must_use]
pub fn connect(c: Connection, event: Event, now_ms: i64, word: u64) -> (Connection, Action) {
    use Phase::{Backoff, Connecting, Idle, Ready};
    let c = c.note(event);
    match (c.phase, event) {
        (Idle, Event::Wanted)
        | (Connecting | Backoff, Event::Renewed)
        | (Backoff, Event::Elapsed) => (c.enter(Connecting, now_ms), Action::Dial),
        (Connecting | Backoff, Event::Unwanted) => (c.calm().enter(Idle, now_ms), Action::Abandon),
        (Connecting, Event::Opened) => (c.enter(Ready, now_ms), Action::None),
        (Connecting, Event::Failed) => c.failed(now_ms, word),
        (Ready, Event::Lost) => c.lost(now_ms, word),
        _ => (c, Action::None),
    }
}

impl Connection {
    /// What an event changes in any phase.
    fn note(mut self, event: Event) -> Self {
        match event {
            Event::Wanted => self.wanted = true,
            Event::Unwanted => self.wanted = false,
            Event::Renewed => self.failures = 0,
            Event::Opened | Event::Failed | Event::Lost | Event::Elapsed => {}
        }
        self
    }

    fn lost(self, now_ms: i64, word: u64) -> (Self, Action) {
        if !self.wanted {
            return (self.calm().enter(Phase::Idle, now_ms), Action::None);
        }
        if elapsed(self.since_ms, now_ms) >= STABLE_MS {
            return (self.calm().enter(Phase::Connecting, now_ms), Action::Dial);
        }
        self.failed(now_ms, word)
    }

    fn failed(mut self, now_ms: i64, word: u64) -> (Self, Action) {
        let wait = delay(self.failures, BACKOFF_CAP_MS, word);
        self.failures = self.failures.saturating_add(1);
        (self.enter(Phase::Backoff, now_ms), Action::Wait(wait))
    }

    fn calm(mut self) -> Self {
        self.failures = 0;
        self
    }

    fn enter(mut self, phase: Phase, now_ms: i64) -> Self {
        self.phase = phase;
        self.since_ms = now_ms;
        self
    }
}
