//! How long to wait before trying again. The delays are those of the rules, as durations.

use std::time::Duration;

use muster_rules::backoff;
pub(crate) use muster_rules::random::below;

/// The ceiling of waits that concern no lease.
pub(crate) const CAP: Duration = Duration::from_millis(backoff::BACKOFF_CAP_MS.cast_unsigned());

/// The wait before attempt number `attempt` (0 is the first repetition).
pub(crate) fn delay(attempt: u32, cap: Duration, word: u64) -> Duration {
    duration(backoff::delay(attempt, signed_millis(cap), word))
}

/// The ceiling of waits that concern a lease.
pub(crate) fn lease_cap(ttl: Duration) -> Duration {
    duration(muster_rules::keepalive::lease_cap(signed_millis(ttl)))
}

/// Whole milliseconds of a duration, saturating.
pub(crate) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Whole milliseconds as the rules count them, saturating.
pub(crate) fn signed_millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

/// A duration of the rules, which is none if it is negative.
pub(crate) fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Counts failed attempts of one activity.
#[derive(Debug, Default, Clone)]
pub(crate) struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// The next wait; counts one more failure.
    pub(crate) fn next(&mut self, cap: Duration, word: u64) -> Duration {
        let wait = delay(self.attempt, cap, word);
        self.failed();
        wait
    }

    /// Counts a failure whose delay somebody else reckons.
    pub(crate) fn failed(&mut self) {
        self.attempt = self.attempt.saturating_add(1);
    }

    /// The number of failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.attempt
    }

    /// Whether nothing failed since the last success.
    pub(crate) fn is_fresh(&self) -> bool {
        self.attempt == 0
    }

    /// Begins again at the shortest waits.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Tells that a stream ended. It counts as a success only if it delivered a message *and* lived
    /// long: a server that answers once and dies must not be reconnected to in a tight loop.
    pub(crate) fn stream_ended(&mut self, delivered: bool, life: Duration) {
        self.attempt = backoff::failures_after_stream(self.attempt, delivered, signed_millis(life));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn backoff_reset_needs_message_and_life() {
        for (delivered, life, want_attempt) in
            [(true, 10, 0), (true, 9, 3), (false, 10, 3), (false, 0, 3)]
        {
            let mut b = Backoff { attempt: 3 };
            b.stream_ended(delivered, Duration::from_secs(life));
            assert_eq!(
                b.attempt, want_attempt,
                "delivered {delivered}, life {life} s"
            );
        }
    }

    proptest! {
        #[test]
        fn backoff_stays_within_floor_and_cap(attempt: u32, cap in 0u64..10_000, word: u64) {
            let d = millis(delay(attempt, Duration::from_millis(cap), word));
            prop_assert!(d >= 50);
            prop_assert!(d <= cap.max(50));
        }

        #[test]
        fn backoff_rises_with_word(attempt in 0u32..40, a: u64, b: u64) {
            let (lo, hi) = (a.min(b), a.max(b));
            prop_assert!(delay(attempt, CAP, lo) <= delay(attempt, CAP, hi));
        }
    }
}
