//! What becomes of a call to a server that failed.

use crate::backoff::delay;
use crate::budget::Budget;
use crate::elapsed::later;
use crate::errors::Row;
use crate::random::below;

/// What becomes of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "evaluate",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "SCREAMING_SNAKE_CASE")
)]
pub enum Verdict {
    /// The caller gets the error.
    GiveUp,
    /// Call again after the wait.
    Retry,
    /// Call another server after the wait, which is 0 while the budget lasts.
    Move,
}

/// A call to a server that failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempted {
    /// What it failed with.
    pub error: Row,
    /// Failures in a row before this one.
    pub failures: u32,
    /// The backoff's ceiling.
    pub cap_ms: i64,
    /// What the server asked for; 0 if it did not.
    pub retry_after_ms: i64,
    /// The time to the deadline; a negative number if there is none.
    pub left_ms: i64,
    /// Whether some server is left that this call has not tried in this round; a round ends when
    /// each was.
    pub others: bool,
}

/// Tells what becomes of a call that failed: whether it is repeated, after how many milliseconds,
/// and what is left of the budget. A repetition that could begin only at the deadline or later is
/// given up at once and costs nothing.
#[must_use]
pub fn decide(a: &Attempted, budget: Budget, now_ms: i64, word: u64) -> (Verdict, i64, Budget) {
    let moves = a.error.next_server && a.others && a.retry_after_ms <= 0;
    if !moves && !a.error.is_retryable() {
        return (Verdict::GiveUp, 0, budget);
    }
    let (after, mut wait) = budget.retry(now_ms);
    let mut verdict = Verdict::Move;
    if !moves {
        verdict = Verdict::Retry;
        wait = wait
            .max(delay(a.failures, a.cap_ms, word))
            .max(spread(a.retry_after_ms, word));
    }
    if a.left_ms >= 0 && wait >= a.left_ms {
        return (Verdict::GiveUp, 0, budget);
    }
    (verdict, wait, after)
}

/// What a server asked for and up to a fifth more, so that those it turned away together do not
/// come back together.
fn spread(ms: i64, word: u64) -> i64 {
    if ms <= 0 {
        return 0;
    }
    later(ms, below(word, ms.cast_unsigned() / 5 + 1).cast_signed())
}
