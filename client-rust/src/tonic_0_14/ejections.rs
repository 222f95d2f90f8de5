//! What is remembered against a slot, by the rule `outlier`.

use muster_rules::outcome::Outcome;
use muster_rules::outlier::{Ejecting, Outlier, eject};

/// What is remembered of one slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record(Outlier);

impl Record {
    /// Takes an outcome at `now_ms`, in a channel of `total` slots of which `others` are ejected.
    pub(crate) fn take(
        &mut self,
        outcome: Outcome,
        now_ms: i64,
        total: usize,
        others: usize,
    ) -> Ejecting {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let change;
        (self.0, change) = eject(self.0, outcome, now_ms, narrow(total), narrow(others));
        change
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.0.ejected
    }

    /// When the ejection ends, if there is one.
    pub(crate) fn until_ms(&self) -> Option<i64> {
        self.0.ejected.then_some(self.0.until_ms)
    }

    /// Whether there is anything that a success would change.
    pub(crate) fn is_troubled(&self) -> bool {
        self.0.failures > 0
    }
}
