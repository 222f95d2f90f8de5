//! How long to wait before trying again: exponential with full jitter.

use crate::random::below;

/// The first ceiling; each further failure doubles it.
pub const BACKOFF_BASE_MS: i64 = 200;
/// The shortest wait: who fails is never asked in a tight loop.
pub const BACKOFF_FLOOR_MS: i64 = 50;
/// The ceiling of waits that concern no lease.
pub const BACKOFF_CAP_MS: i64 = 5_000;
/// How long a stream must have lived, and brought a message, to count as a success: a server that
/// sends one message and dies is not to be called in a tight loop.
pub const STREAM_LIFE_MS: i64 = 10_000;

/// The wait before the next attempt in milliseconds, after so many failures in a row before the
/// last one: spread evenly from the floor up to `min(cap_ms, base × 2^failures)`, that excluded.
#[must_use]
pub fn delay(failures: u32, cap_ms: i64, word: u64) -> i64 {
    let ceiling = (BACKOFF_BASE_MS << failures.min(32)).min(cap_ms);
    if ceiling <= BACKOFF_FLOOR_MS {
        return BACKOFF_FLOOR_MS;
    }
    BACKOFF_FLOOR_MS + below(word, (ceiling - BACKOFF_FLOOR_MS).cast_unsigned()).cast_signed()
}

/// The number of failures in a row after a stream ended.
#[must_use]
pub fn failures_after_stream(failures: u32, delivered: bool, lived_ms: i64) -> u32 {
    if delivered && lived_ms >= STREAM_LIFE_MS {
        return 0;
    }
    failures
}
