//! How many calls a client repeats.

use crate::elapsed::elapsed;

/// What a repeated call takes, in thousandths of a token.
const RETRY_COST: i64 = 1_000;
/// What a call brings: 20 % of what a repetition costs.
const CALL_GAIN: i64 = 200;
/// What time brings: 10 repetitions a second.
const GAIN_PER_MS: i64 = 10;
/// What a budget can hold: 10 s without calls.
const FULL: i64 = 100_000;
/// What it can owe: no repetition waits in line for longer than 30 s.
const DEBT: i64 = -300_000;

/// Bounds how many calls a client repeats, whatever the cause: a fifth of the calls that it makes,
/// and 10 a second. It counts thousandths of a token. Repetitions beyond it are not refused but
/// put in line, by a debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Budget {
    /// Thousandths of a token.
    pub milli: i64,
    /// Up to when time has been counted.
    pub at_ms: i64,
}

impl Budget {
    /// Where a client begins.
    #[must_use]
    pub fn full(now_ms: i64) -> Self {
        Self {
            milli: FULL,
            at_ms: now_ms,
        }
    }

    /// Counts a call that is no repetition.
    #[must_use]
    pub fn call(self, now_ms: i64) -> Self {
        let mut b = self.at(now_ms);
        b.milli = (b.milli + CALL_GAIN).min(FULL);
        b
    }

    /// Counts a repetition and returns for how long it has to wait in line, in milliseconds.
    #[must_use]
    pub fn retry(self, now_ms: i64) -> (Self, i64) {
        let mut b = self.at(now_ms);
        b.milli = (b.milli - RETRY_COST).max(DEBT);
        if b.milli >= 0 {
            return (b, 0);
        }
        (b, (GAIN_PER_MS - 1 - b.milli) / GAIN_PER_MS)
    }

    /// Counts the time up to a moment. Time that runs backwards counts from anew.
    fn at(self, now_ms: i64) -> Self {
        let milli = self.milli.clamp(DEBT, FULL);
        let elapsed = elapsed(self.at_ms, now_ms).min((FULL - DEBT) / GAIN_PER_MS);
        Self {
            milli: (milli + elapsed * GAIN_PER_MS).min(FULL),
            at_ms: now_ms,
        }
    }
}
