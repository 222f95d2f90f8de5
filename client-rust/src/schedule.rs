//! When the next keepalive of a lease is due. Pure.

use std::time::Duration;

use muster_rules::keepalive;

use crate::backoff::{duration, signed_millis};

/// The time from the sending of one keepalive to the next.
pub(crate) fn keepalive_after(ttl: Duration, word: u64) -> Duration {
    duration(keepalive::keepalive_due(signed_millis(ttl), word))
}

/// How long a keepalive may stay unanswered before its stream counts as broken.
pub(crate) fn answer_within(ttl: Duration) -> Duration {
    duration(keepalive::answer_within(signed_millis(ttl)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::millis;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keepalive_leaves_three_tries(ttl in 1_000u64..3_600_000, word: u64) {
            let after = millis(keepalive_after(Duration::from_millis(ttl), word));
            prop_assert!(after * 3 <= ttl);
            prop_assert!(after >= ttl / 3 * 8 / 10);
        }
    }
}
