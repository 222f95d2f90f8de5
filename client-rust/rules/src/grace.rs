//! How a process that was told to stop divides the time until it is killed.

/// The least time, in milliseconds, that a process may have between being told to stop and being
/// killed.
pub const SHORTEST_GRACE_MS: i64 = 3_000;
/// The most such time.
pub const LONGEST_GRACE_MS: i64 = 86_400_000;
const LONGEST_PART_MS: i64 = 5_000;

/// The parts of the time. The first three are moments, in milliseconds since the process was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// When watchers are waited for no longer.
    pub watchers_ms: i64,
    /// When answers from before count no longer.
    pub answers_ms: i64,
    /// When calls in flight are cut off.
    pub calls_ms: i64,
    /// How long deregistering may take, from its beginning.
    pub deregister_ms: i64,
}

impl Grace {
    /// Divides a period. A sixth, but at most 5 s, goes to each of watchers, answers from before,
    /// deregistering, and what is left over at the end; calls have the rest. Periods out of bounds
    /// are brought into them.
    #[must_use]
    pub fn of(period_ms: i64) -> Grace {
        let period = period_ms.clamp(SHORTEST_GRACE_MS, LONGEST_GRACE_MS);
        let part = (period / 6).min(LONGEST_PART_MS);
        Grace {
            watchers_ms: part,
            answers_ms: 2 * part,
            calls_ms: period - 2 * part,
            deregister_ms: part,
        }
    }
}
