//! How old a view is. Pure, in whole milliseconds.
//!
//! The age is counted from what the server knew, not from when a frame arrived: the age of the
//! server's data, plus how long the frame was under way beyond the fastest one of its stream, plus
//! the time since it arrived.

use muster_rules::defaults;
use muster_rules::freshness::{self, freshness_of};
pub(crate) use muster_rules::freshness::{StreamClock, Timing};

use crate::backoff::signed_millis;

/// The ages at which freshness changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ages {
    /// From this age on a view is [`Freshness::Stale`].
    pub(crate) stale_ms: i64,
    /// From this age on a view is [`Freshness::Expired`].
    pub(crate) expired_ms: i64,
}

impl Default for Ages {
    fn default() -> Ages {
        Ages {
            stale_ms: signed_millis(defaults::FRESH_FOR),
            expired_ms: signed_millis(defaults::STALE_FOR),
        }
    }
}

/// How far a view can be trusted to be current. A client keeps using a view whatever its
/// freshness: an old set is better than an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// Younger than 30 s, or what [`ClientBuilder::freshness`](crate::ClientBuilder::freshness) says.
    Fresh,
    /// At least 30 s old, or its digest did not match and a better view is awaited.
    Stale,
    /// At least 10 min old, or no view was received at all.
    Expired,
}

impl Freshness {
    /// The freshness of a view of this age, and the age at which it ends; none for the last. A view
    /// that is in doubt is never FRESH.
    pub(crate) fn judge(age_ms: i64, ages: Ages, doubtful: bool) -> (Freshness, Option<i64>) {
        let (judged, ends) = freshness_of(age_ms, ages.stale_ms, ages.expired_ms, doubtful);
        let freshness = match judged {
            freshness::Freshness::Fresh => Freshness::Fresh,
            freshness::Freshness::Stale => Freshness::Stale,
            freshness::Freshness::Expired => Freshness::Expired,
        };
        (freshness, Some(ends).filter(|ends| *ends >= 0))
    }

    /// The name that both clients print.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Freshness::Fresh => "FRESH",
            Freshness::Stale => "STALE",
            Freshness::Expired => "EXPIRED",
        }
    }
}

impl std::fmt::Display for Freshness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
