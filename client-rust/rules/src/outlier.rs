//! Which endpoints are left out because their calls fail.

use crate::elapsed::{elapsed, later};
use crate::outcome::Outcome;

/// So many failures in a row eject an endpoint.
pub const CONSECUTIVE_FAILURES: u32 = 5;
/// The first ejection's length; the n-th is n times as long.
pub const EJECTION_MS: i64 = 10_000;
/// The largest n: the longest ejection takes 5 minutes.
pub const MAX_EJECTIONS: u32 = 30;
/// One of so many slots may be ejected at a time, but always one.
const EJECTED_SHARE: u32 = 5;

/// What is remembered of one slot. The default is a slot of which nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Outlier {
    /// Failures in a row.
    pub failures: u32,
    /// Ejections so far, less one for each [`EJECTION_MS`] without.
    pub ejections: u32,
    /// Whether the slot is left out now, until `until_ms`.
    pub ejected: bool,
    /// When it is taken back.
    pub until_ms: i64,
    /// Whether it is left out because nobody took a connection.
    pub unreached: bool,
    /// From when the time without ejection counts.
    pub since_ms: i64,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "SCREAMING_SNAKE_CASE")
)]
pub enum Ejecting {
    /// Nothing that a plan shows.
    Unchanged,
    /// The slot is left out from now on; look again at `until_ms`.
    Ejects,
    /// The slot takes calls again.
    Returns,
}

/// Decides what an outcome at `now_ms` means for a slot of a channel that has `total` slots, of
/// which `others` are ejected already. [`Outcome::Ignored`] lets time pass: call it so when
/// `until_ms` comes. A slot whose instance was registered anew begins with the default.
#[must_use]
pub fn eject(
    o: Outlier,
    outcome: Outcome,
    now_ms: i64,
    total: u32,
    others: u32,
) -> (Outlier, Ejecting) {
    let (mut o, change) = o.at(now_ms);
    match outcome {
        Outcome::Success => o.failures = 0,
        Outcome::Connected if o.ejected && o.unreached => {
            return (o.back(now_ms), Ejecting::Returns);
        }
        Outcome::Failure | Outcome::Refused if !o.ejected => {
            o.failures = o.failures.min(CONSECUTIVE_FAILURES - 1) + 1;
            let refused = outcome == Outcome::Refused;
            let enough = refused || o.failures == CONSECUTIVE_FAILURES;
            if enough && others < (total / EJECTED_SHARE).max(1) {
                return (o.out(now_ms, refused), Ejecting::Ejects);
            }
        }
        Outcome::Ignored | Outcome::Connected | Outcome::Failure | Outcome::Refused => {}
    }
    (o, change)
}

impl Outlier {
    /// Lets time pass: an ejection ends, or those of before are forgotten.
    fn at(mut self, now_ms: i64) -> (Self, Ejecting) {
        if self.ejected {
            if now_ms < self.until_ms {
                return (self, Ejecting::Unchanged);
            }
            return (self.back(self.until_ms), Ejecting::Returns);
        }
        let steps = elapsed(self.since_ms, now_ms) / EJECTION_MS;
        match u32::try_from(steps) {
            Ok(steps) if steps < self.ejections => {
                self.ejections -= steps;
                self.since_ms += i64::from(steps) * EJECTION_MS;
            }
            _ => self.ejections = 0,
        }
        (self, Ejecting::Unchanged)
    }

    fn out(mut self, now_ms: i64, unreached: bool) -> Self {
        self.ejections = self.ejections.min(MAX_EJECTIONS - 1) + 1;
        self.ejected = true;
        self.unreached = unreached;
        self.until_ms = later(now_ms, i64::from(self.ejections) * EJECTION_MS);
        self
    }

    fn back(self, now_ms: i64) -> Self {
        Self {
            ejections: self.ejections,
            since_ms: now_ms,
            ..Self::default()
        }
    }
}
