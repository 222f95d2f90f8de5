//! When the next keepalive of a lease is due. Pure.

use std::time::Duration;

use crate::backoff::{below, millis};

/// Leases that fall due within this of each other travel in one message.
pub(crate) const JOIN_WITHIN: Duration = Duration::from_millis(50);
/// Leases in one keepalive message.
pub(crate) const LEASES_PER_MESSAGE: usize = 256;

/// The time from the sending of one keepalive to the next: a third of the TTL, shortened by up to a
/// fifth. It is never lengthened, since that would eat the last try before the TTL ends.
pub(crate) fn keepalive_after(ttl: Duration, word: u64) -> Duration {
    let third = millis(ttl) / 3;
    Duration::from_millis(third - below(word, third / 5 + 1))
}

/// How long a keepalive may stay unanswered before its stream counts as broken.
pub(crate) fn answer_within(ttl: Duration) -> Duration {
    ttl / 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keepalive_table() {
        for (ttl, word, want) in [
            (15_000, 0, 5_000),
            (15_000, u64::MAX, 4_000),
            (15_000, u64::MAX / 2, 4_500),
            (1_000, 0, 333),
            (1_000, u64::MAX, 267),
        ] {
            assert_eq!(
                keepalive_after(Duration::from_millis(ttl), word),
                Duration::from_millis(want)
            );
        }
    }

    proptest! {
        #[test]
        fn keepalive_leaves_three_tries(ttl in 1_000u64..3_600_000, word: u64) {
            let after = millis(keepalive_after(Duration::from_millis(ttl), word));
            prop_assert!(after * 3 <= ttl);
            prop_assert!(after >= ttl / 3 * 8 / 10);
        }
    }
}
