//! Times without overflow.

/// The time from one moment to a later one in milliseconds: 0 if the second is not later, and the
/// largest number if the difference has none.
#[must_use]
pub fn elapsed(from: i64, to: i64) -> i64 {
    to.saturating_sub(from).max(0)
}

/// The moment that comes `ms` after another, or the last that there is. It wants an `ms` of 0 or
/// more.
#[must_use]
pub fn later(from: i64, ms: i64) -> i64 {
    from.saturating_add(ms)
}
