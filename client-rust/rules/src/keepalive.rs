//! When keepalives of a lease are due.

use crate::backoff::BACKOFF_CAP_MS;
use crate::random::below;

/// How many milliseconds after the sending of one keepalive the next one is due: a third of the
/// TTL, less up to a fifth of that. Jitter goes only downwards, because upwards it would eat the
/// last of the three tries that a TTL holds.
#[must_use]
pub fn keepalive_due(ttl_ms: i64, word: u64) -> i64 {
    let third = answer_within(ttl_ms);
    third - below(word, (third / 5 + 1).cast_unsigned()).cast_signed()
}

/// How many milliseconds a keepalive may stay unanswered before its stream counts as broken.
#[must_use]
pub fn answer_within(ttl_ms: i64) -> i64 {
    ttl_ms.max(0) / 3
}

/// The ceiling of waits that concern a lease: longer ones would lose it.
#[must_use]
pub fn lease_cap(ttl_ms: i64) -> i64 {
    answer_within(ttl_ms).min(BACKOFF_CAP_MS)
}
