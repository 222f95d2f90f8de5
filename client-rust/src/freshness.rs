//! How old a view is. Pure, in whole milliseconds.
//!
//! The age is counted from what the server knew, not from when a frame arrived: the age of the
//! server's data, plus how long the frame was under way beyond the fastest one of its stream, plus
//! the time since it arrived.

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
            stale_ms: 30_000,
            expired_ms: 600_000,
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
    /// The freshness of a view of this age.
    pub(crate) fn of_age(age_ms: i64, ages: Ages) -> Freshness {
        if age_ms < ages.stale_ms {
            Freshness::Fresh
        } else if age_ms < ages.expired_ms {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// The age at which this freshness ends; none for the last.
    pub(crate) fn ends_at_ms(self, ages: Ages) -> Option<i64> {
        match self {
            Freshness::Fresh => Some(ages.stale_ms),
            Freshness::Stale => Some(ages.expired_ms),
            Freshness::Expired => None,
        }
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

/// What is known of when a view's data was current, taken from one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timing {
    /// When the frame arrived, by the client's monotonic clock.
    pub(crate) received_ms: i64,
    /// The age that the data had at `received_ms`.
    pub(crate) age_then_ms: i64,
}

impl Timing {
    /// The age now. Never negative.
    pub(crate) fn age_ms(self, now_ms: i64) -> i64 {
        (self.age_then_ms + (now_ms - self.received_ms)).max(0)
    }
}

/// The clock of one stream: remembers its fastest frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamClock {
    smallest: Option<i64>,
}

impl StreamClock {
    /// Takes a frame's times in. δ = receive time − server uptime; what it exceeds the smallest δ
    /// of the stream by is time that the frame spent on its way.
    pub(crate) fn frame(&mut self, received_ms: i64, uptime_ms: u64, data_age_ms: u64) -> Timing {
        let uptime = i64::try_from(uptime_ms).unwrap_or(i64::MAX / 4);
        let data_age = i64::try_from(data_age_ms).unwrap_or(i64::MAX / 4);
        let delta = received_ms.saturating_sub(uptime);
        let smallest = self.smallest.map_or(delta, |s| s.min(delta));
        self.smallest = Some(smallest);
        Timing {
            received_ms,
            age_then_ms: data_age.saturating_add(delta - smallest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_table() {
        for (age, want) in [
            (0, Freshness::Fresh),
            (29_999, Freshness::Fresh),
            (30_000, Freshness::Stale),
            (599_999, Freshness::Stale),
            (600_000, Freshness::Expired),
            (i64::MAX, Freshness::Expired),
        ] {
            assert_eq!(Freshness::of_age(age, Ages::default()), want, "age {age}");
        }
    }

    #[test]
    fn age_counts_data_age_delay_and_waiting() {
        let mut clock = StreamClock::default();
        // The first frame sets the base: uptime 5 s, received at 1 s.
        let first = clock.frame(1_000, 5_000, 0);
        assert_eq!(first.age_ms(1_000), 0);
        assert_eq!(first.age_ms(1_700), 700);
        // Made 1 s later, arrived 1.4 s later: 400 ms under way, and the data was 250 ms old.
        let second = clock.frame(2_400, 6_000, 250);
        assert_eq!(second.age_ms(2_400), 650);
        assert_eq!(second.age_ms(3_000), 1_250);
        // A faster frame lowers the base for those after it.
        let third = clock.frame(2_900, 7_000, 0);
        assert_eq!(third.age_ms(2_900), 0);
        assert_eq!(clock.frame(4_000, 8_000, 0).age_ms(4_000), 100);
    }

    #[test]
    fn age_is_never_negative() {
        let t = Timing {
            received_ms: 10,
            age_then_ms: 0,
        };
        assert_eq!(t.age_ms(5), 0);
    }

    #[test]
    fn absurd_server_times_do_not_overflow() {
        let mut clock = StreamClock::default();
        let t = clock.frame(1_000, u64::MAX, u64::MAX);
        assert_eq!(
            Freshness::of_age(t.age_ms(2_000), Ages::default()),
            Freshness::Expired
        );
        clock.frame(1_000, 0, 0);
    }
}
