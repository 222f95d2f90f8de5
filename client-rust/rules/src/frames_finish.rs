//! What a complete update does to a view.

use std::collections::BTreeSet;

use crate::digest::{EntryKey, KIND_INSTANCE};
use crate::entry_set::{Entry, borrowed, find, owned};
use crate::frames::{
    Applied, FrameHeader, Frames, InstanceEntry, Outcome, REASON_SNAPSHOT_ABSENT, Removed, Update,
    mismatch, violation,
};
use crate::freshness::clamp;

/// How many mismatching snapshots within [`MISMATCH_WINDOW_MS`] make the last of them be taken as
/// it is.
const MISMATCHES_ACCEPTED: usize = 3;
const MISMATCH_WINDOW_MS: i64 = 60_000;

impl<I: InstanceEntry, S: Entry> Frames<I, S> {
    pub(crate) fn finish_delta(&mut self, h: &FrameHeader, update: Update<I, S>) -> Outcome {
        let removals = update.removals;
        let next = self.set.after(update.instances, update.services, &removals);
        let Some(next) = next else {
            return violation("an entry twice in one update, or of no known kind");
        };
        if !self.unverified && !next.matches(h) {
            return self.distrust(mismatch("a delta", &next, h));
        }
        let mut gone = self.held_of(&removals);
        self.set = next;
        self.settle(h);
        self.confirm(&removals);
        gone.extend(self.end_recovery(h));
        let snapshot = None;
        Outcome::Applied(Applied { snapshot, gone })
    }

    pub(crate) fn finish_snapshot(
        &mut self,
        h: &FrameHeader,
        update: Update<I, S>,
        forbidden: &[(&str, &str)],
        now_ms: i64,
    ) -> Outcome {
        let Some(next) = self.set.replaced(update.instances, update.services) else {
            return violation("an entry twice in one update");
        };
        let verified = next.matches(h);
        if verified {
            self.mismatches.clear();
        } else if !self.accept_mismatch(clamp(now_ms)) {
            return self.distrust(mismatch("a snapshot", &next, h));
        }
        self.unverified = !verified;
        if self.position.epoch < h.position.epoch {
            self.keep_unconfirmed();
        }
        self.set = next;
        self.settle(h);
        self.confirm(&update.removals);
        self.unconfirmed.retain(|i| {
            let (namespace, service, _) = i.key();
            !forbidden.contains(&(namespace, service))
        });
        self.end_recovery(h);
        Outcome::Applied(Applied {
            snapshot: Some(update.cause),
            gone: Vec::new(),
        })
    }

    /// Keeps the set as it is, but does not resume from it.
    pub(crate) fn distrust(&mut self, text: String) -> Outcome {
        self.distrusted = true;
        Outcome::Mismatch(text)
    }

    /// Counts a mismatching snapshot; true if it is to be taken all the same. Once one was taken,
    /// the retries need not fail three times again.
    fn accept_mismatch(&mut self, now_ms: i64) -> bool {
        self.mismatches
            .retain(|at| now_ms - at < MISMATCH_WINDOW_MS);
        self.mismatches.push(now_ms);
        self.unverified || self.mismatches.len() >= MISMATCHES_ACCEPTED
    }

    /// Moves to where a header is.
    pub(crate) fn settle(&mut self, h: &FrameHeader) {
        self.held = true;
        self.distrusted = false;
        self.position = h.position;
        self.floor = h.position;
        self.view_id = h.view_id;
    }

    /// Keeps the instances of the old history.
    fn keep_unconfirmed(&mut self) {
        let kept = self.set.instances.iter().map(InstanceEntry::as_unconfirmed);
        self.unconfirmed.extend(kept);
        self.unconfirmed.sort_by(|a, b| a.key().cmp(&b.key()));
    }

    /// Lets go of unconfirmed instances whose keys appeared or were removed in the new history.
    fn confirm(&mut self, removals: &[Removed]) {
        if self.unconfirmed.is_empty() {
            return;
        }
        let instances = removals.iter().filter(|r| r.kind_byte() == KIND_INSTANCE);
        let removed: BTreeSet<EntryKey<'_>> = instances.map(|r| borrowed(&r.key)).collect();
        let set = &self.set.instances;
        self.unconfirmed
            .retain(|i| find(set, i.key()).is_err() && !removed.contains(&i.key()));
    }

    /// Lets go of all unconfirmed instances once recovery is over, and names them.
    pub(crate) fn end_recovery(&mut self, h: &FrameHeader) -> Vec<Removed> {
        if h.recovering {
            return Vec::new();
        }
        let gone = |i: I| Removed {
            kind: i32::from(KIND_INSTANCE),
            key: owned(i.key()),
            reason: REASON_SNAPSHOT_ABSENT,
        };
        self.unconfirmed.drain(..).map(gone).collect()
    }

    /// The part of removals that concerns instances held now.
    fn held_of(&self, removals: &[Removed]) -> Vec<Removed> {
        let held = |r: &&Removed| {
            let key = borrowed(&r.key);
            r.kind_byte() == KIND_INSTANCE
                && (find(&self.set.instances, key).is_ok() || find(&self.unconfirmed, key).is_ok())
        };
        removals.iter().filter(held).cloned().collect()
    }
}
