//! How long to wait before trying again: exponential with full jitter.
//!
//! Everything here is pure. Random words are inputs, so that equal words give equal waits in every
//! language, and no decision uses a float.

use std::time::Duration;

/// The first ceiling; each further attempt doubles it.
pub(crate) const BASE: Duration = Duration::from_millis(200);
/// No wait is shorter, so that a failing server is never asked in a tight loop.
pub(crate) const FLOOR: Duration = Duration::from_millis(50);
/// The ceiling of waits that concern no lease.
pub(crate) const CAP: Duration = Duration::from_secs(5);
/// A stream must have lived this long, and have delivered a message, to count as a success.
pub(crate) const STREAM_LIFE: Duration = Duration::from_secs(10);

/// Maps a random word to `0..n` without division, by the high word of the 128-bit product.
/// `n == 0` gives 0.
pub(crate) fn below(word: u64, n: u64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the high word of a product"
    )]
    let high = ((u128::from(word) * u128::from(n)) >> 64) as u64;
    high
}

/// The wait before attempt number `attempt` (0 is the first repetition): spread evenly from the
/// floor of 50 ms up to `min(cap, 200 ms × 2^attempt)`, that excluded.
pub(crate) fn delay(attempt: u32, cap: Duration, word: u64) -> Duration {
    let ceiling = (millis(BASE) << attempt.min(32)).min(millis(cap));
    let floor = millis(FLOOR);
    Duration::from_millis(floor + below(word, ceiling.saturating_sub(floor)))
}

/// The ceiling of waits that concern a lease: a third of its TTL, because a longer wait would lose
/// it, and never more than [`CAP`].
pub(crate) fn lease_cap(ttl: Duration) -> Duration {
    (ttl / 3).min(CAP)
}

/// Whole milliseconds of a duration, saturating.
pub(crate) fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
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
        self.attempt = self.attempt.saturating_add(1);
        wait
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
    /// 10 s: a server that answers once and dies must not be reconnected to in a tight loop.
    pub(crate) fn stream_ended(&mut self, delivered: bool, life: Duration) {
        if delivered && life >= STREAM_LIFE {
            self.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn backoff_table() {
        let ms = Duration::from_millis;
        for (attempt, cap, word, want) in [
            (0, CAP, 0, ms(50)),
            (0, CAP, u64::MAX, ms(199)),
            (1, CAP, u64::MAX, ms(399)),
            (2, CAP, u64::MAX / 2, ms(424)),
            (4, CAP, u64::MAX, ms(3199)),
            (5, CAP, u64::MAX, ms(4999)),
            (4_000_000_000, CAP, u64::MAX, ms(4999)),
            (9, ms(1000), u64::MAX, ms(999)),
            (9, ms(10), u64::MAX, ms(50)),
        ] {
            assert_eq!(
                delay(attempt, cap, word),
                want,
                "attempt {attempt}, cap {cap:?}, word {word}"
            );
        }
    }

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
            prop_assert!(d >= millis(FLOOR));
            prop_assert!(d <= cap.max(millis(FLOOR)));
        }

        #[test]
        fn backoff_rises_with_word(attempt in 0u32..40, a: u64, b: u64) {
            let (lo, hi) = (a.min(b), a.max(b));
            prop_assert!(delay(attempt, CAP, lo) <= delay(attempt, CAP, hi));
        }
    }
}
