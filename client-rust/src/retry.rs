//! Which calls to the registry are repeated, after which wait: section 19 of `docs/client-spec.md`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_rules::budget::Budget;
use muster_rules::errors::{Class, Row};
use muster_rules::retry::{self, Attempted, Verdict};
use tokio::time::Instant;

use crate::backoff::{Backoff, duration, signed_millis};
use crate::client::Shared;
use crate::error::{Error, Reason};

/// Bounds how many calls to the registry a client repeats. A client has one.
pub(crate) struct RetryBudget {
    began: Instant,
    left: Mutex<Budget>,
}

impl RetryBudget {
    pub(crate) fn new() -> RetryBudget {
        RetryBudget {
            began: Instant::now(),
            left: Mutex::new(Budget::full(0)),
        }
    }

    /// Counts a call that is no repetition.
    pub(crate) fn call(&self) {
        let mut left = self.lock();
        *left = left.call(self.now_ms());
    }

    /// Tells what becomes of a call that failed, and after which wait.
    fn decide(&self, a: &Attempted, word: u64) -> (Verdict, Duration) {
        let mut left = self.lock();
        let now_ms = self.now_ms();
        let counts = reached_server(&a.error);
        let before = if counts { *left } else { Budget::full(now_ms) };
        let (verdict, wait_ms, after) = retry::decide(a, before, now_ms, word);
        if counts {
            *left = after;
        }
        (verdict, duration(wait_ms))
    }

    fn now_ms(&self) -> i64 {
        signed_millis(self.began.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Budget> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server was sent a call that failed so. Without one there is nothing to spare, and
/// whoever waited in line would be late when the servers are back.
fn reached_server(e: &Row) -> bool {
    e.reason != Reason::NoServer.as_str()
}

impl Shared {
    /// Tells what becomes of a call to the registry that failed, after so many tries of its own,
    /// and after which wait. One that is brief waits for nothing.
    pub(crate) fn decide(
        &self,
        e: &Error,
        tries: usize,
        deadline: Instant,
        brief: bool,
        retries: &mut Backoff,
    ) -> (Verdict, Duration) {
        let left_ms = signed_millis(deadline.saturating_duration_since(Instant::now()));
        let attempted = Attempted {
            others: !tries.is_multiple_of(self.servers.len()),
            left_ms: if brief { left_ms.min(1) } else { left_ms },
            ..attempted(e, retries, self.config.backoff_cap())
        };
        let (verdict, wait) = self.budget.decide(&attempted, self.config.word());
        if verdict == Verdict::Retry {
            retries.failed();
        }
        (verdict, wait)
    }

    /// The wait before the repetition of what is repeated for as long as it is wanted, whatever it
    /// failed with.
    pub(crate) fn delay(&self, e: &Error, retries: &mut Backoff, cap: Duration) -> Duration {
        let mut attempted = attempted(e, retries, cap);
        attempted.error.class = Class::Yes;
        let (_, wait) = self.budget.decide(&attempted, self.config.word());
        retries.failed();
        wait
    }
}

fn attempted(e: &Error, retries: &Backoff, cap: Duration) -> Attempted {
    Attempted {
        error: e.row(),
        failures: retries.failures(),
        cap_ms: signed_millis(cap),
        retry_after_ms: e.retry_after().map_or(0, signed_millis),
        left_ms: -1,
        others: false,
    }
}
