//! How old a view from disk is.

/// Bounds ages, so that sums of two do not overflow.
const LONGEST_AGE: i64 = 1 << 61;

/// How old a view is, in ms, that was written by the wall clock at `written_ms`, `age_ms` old, and
/// is read at `now_ms`. A wall clock that went back proves nothing: then it is at least `stale_ms`,
/// the age at which views become STALE.
#[must_use]
pub fn cache_age(now_ms: i64, written_ms: i64, age_ms: i64, stale_ms: i64) -> i64 {
    let age = age_ms.clamp(0, LONGEST_AGE);
    if now_ms < written_ms {
        return age.max(stale_ms);
    }
    age + now_ms.saturating_sub(written_ms).min(LONGEST_AGE)
}
