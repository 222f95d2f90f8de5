//! How old a view is, and how far it can be trusted.

/// How far a view can be trusted to be current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Young.
    Fresh,
    /// Older, or it did not match its digest.
    Stale,
    /// Old.
    Expired,
}

/// Judges an age. A view that is in doubt, because it or what followed it did not match its digest,
/// is never FRESH. The number is the age at which the freshness ends; -1 if it never does.
#[must_use]
pub fn freshness_of(
    age_ms: i64,
    fresh_for_ms: i64,
    stale_for_ms: i64,
    doubtful: bool,
) -> (Freshness, i64) {
    if age_ms >= stale_for_ms {
        (Freshness::Expired, -1)
    } else if age_ms >= fresh_for_ms || doubtful {
        (Freshness::Stale, stale_for_ms)
    } else {
        (Freshness::Fresh, fresh_for_ms)
    }
}

/// Bounds the times that come in, so that no sum overflows.
const LONGEST_MS: i64 = 1 << 60;

pub(crate) fn clamp(ms: i64) -> i64 {
    ms.clamp(-LONGEST_MS, LONGEST_MS)
}

fn clamp_unsigned(ms: u64) -> i64 {
    ms.min(LONGEST_MS.cast_unsigned()).cast_signed()
}

/// What is known of a view's age: how old it was when its last frame was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// When, by the client's monotonic clock.
    pub received_ms: i64,
    /// How old the data was then.
    pub age_then_ms: i64,
}

impl Timing {
    /// The age at a moment; it is never negative.
    #[must_use]
    pub fn age_ms(self, now_ms: i64) -> i64 {
        (self.age_then_ms + clamp(now_ms) - self.received_ms).max(0)
    }
}

/// Measures how long frames of one stream were under way. The smallest distance of the two clocks
/// that was ever seen counts as no delay. The default has seen nothing.
#[derive(Debug, Clone, Default)]
pub struct StreamClock {
    smallest: Option<i64>,
}

impl StreamClock {
    /// Returns the timing of a frame, and remembers it if it was the fastest.
    pub fn frame(&mut self, received_ms: i64, uptime_ms: u64, data_age_ms: u64) -> Timing {
        let received_ms = clamp(received_ms);
        let distance = received_ms - clamp_unsigned(uptime_ms);
        let smallest = self.smallest.map_or(distance, |s| s.min(distance));
        self.smallest = Some(smallest);
        Timing {
            received_ms,
            age_then_ms: clamp_unsigned(data_age_ms) + distance - smallest,
        }
    }
}
