//! Applies the frames of one view: stages chunks, verifies the result, then swaps. Pure.
//!
//! A client's set changes only when a complete update was verified by digest and count. Whatever
//! does not fit leaves the set as it was and tells the stream how to open again.

use std::sync::Arc;

use muster_proto::v1;

use crate::digest::Digest;
use crate::event::FrameFault;
use crate::instance::{Instance, ServiceName};
use crate::kinds::{Position, RemovalReason, SnapshotCause};
use crate::set::{Gone, Malformed, Set};

/// Mismatching snapshots within [`MISMATCH_WINDOW_MS`] after which one is taken as it is.
const MISMATCHES_ACCEPTED: usize = 3;
/// How long a mismatching snapshot is remembered.
const MISMATCH_WINDOW_MS: i64 = 60_000;

/// Why a stream has to be opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The update starts elsewhere than this client is: reopen with the own position.
    Gap,
    /// The server broke a rule: reopen with the own position.
    Violation(String),
    /// Digest or count do not match: reopen without position.
    Mismatch,
}

impl Broken {
    /// How events name it.
    pub(crate) fn fault(&self) -> FrameFault {
        match self {
            Broken::Gap => FrameFault::Gap,
            Broken::Violation(_) => FrameFault::Violation,
            Broken::Mismatch => FrameFault::Mismatch,
        }
    }
}

/// What one frame did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A chunk was put aside; nothing changed.
    Staged,
    /// The set was replaced.
    Swapped(Swap),
    /// The set is the same at a later revision. Names what was kept as unconfirmed until now.
    Moved(Vec<Gone>),
    /// Nothing changed and the stream cannot go on.
    Broken(Broken),
}

/// How the set was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Swap {
    /// Set if it was by a snapshot.
    pub(crate) cause: Option<SnapshotCause>,
    /// Instances that went, with reasons.
    pub(crate) gone: Vec<Gone>,
}

/// Chunks of an update that is not complete.
#[derive(Debug, Clone)]
struct Stage {
    header: v1::ViewHeader,
    next_index: u32,
    kind: Kind,
    instances: Vec<v1::Instance>,
    services: Vec<v1::ServiceState>,
    removals: Vec<v1::Removal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Snapshot(i32),
    Delta { from: u64 },
}

/// A chunk of a snapshot or a delta, in one form.
struct Part {
    header: v1::ViewHeader,
    chunk: v1::Chunk,
    kind: Kind,
    instances: Vec<v1::Instance>,
    services: Vec<v1::ServiceState>,
    removals: Vec<v1::Removal>,
}

impl Stage {
    fn begin(part: Part) -> Stage {
        Stage {
            header: part.header,
            next_index: 1,
            kind: part.kind,
            instances: part.instances,
            services: part.services,
            removals: part.removals,
        }
    }

    /// Adds the next chunk of the same update.
    fn add(&mut self, part: Part) -> Result<(), Broken> {
        let v = |text: &str| Err(Broken::Violation(text.into()));
        if part.chunk.index != self.next_index || part.kind != self.kind {
            return v("chunks out of order");
        }
        if !same_update(&part.header, &self.header) {
            return v("chunks of one update with different headers");
        }
        self.next_index += 1;
        self.header = part.header;
        self.instances.extend(part.instances);
        self.services.extend(part.services);
        self.removals.extend(part.removals);
        Ok(())
    }

    fn entries(&self) -> usize {
        self.instances.len() + self.services.len()
    }
}

/// What a client holds of one view, and what is under way to it.
#[derive(Debug, Default, Clone)]
pub(crate) struct FrameState {
    set: Set,
    /// Entries of a lost history that did not come back yet; sorted, outside of the digest.
    unconfirmed: Vec<Arc<Instance>>,
    /// Where the set is; none before the first one.
    held: Option<Held>,
    /// Where this stream continues from; none if it was opened without position, so that whatever
    /// snapshot comes is taken.
    floor: Option<Position>,
    stage: Option<Stage>,
    unverified: bool,
    /// An update did not match since the last snapshot that did: the set is not resumed from.
    distrusted: bool,
    /// When snapshots did not match.
    mismatches: Vec<i64>,
}

/// The place of a set in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    position: Position,
    view_id: u64,
}

impl FrameState {
    pub(crate) fn set(&self) -> &Set {
        &self.set
    }

    /// Where the set is; zero before the first one.
    #[cfg(test)]
    pub(crate) fn position(&self) -> Position {
        self.held.map(|h| h.position).unwrap_or_default()
    }

    pub(crate) fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// All instances, those that are unconfirmed among them, sorted.
    pub(crate) fn instances(&self) -> Arc<[Arc<Instance>]> {
        if self.unconfirmed.is_empty() {
            return self.set.instances().cloned().collect();
        }
        let mut all: Vec<Arc<Instance>> = self.set.instances().cloned().collect();
        all.extend(self.unconfirmed.iter().cloned());
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all.into()
    }

    /// The position to resume from; none if there is no verified set.
    pub(crate) fn known(&self) -> Option<v1::KnownView> {
        let held = self.held.filter(|_| !self.unverified && !self.distrusted)?;
        let Digest { sum, count } = self.set.digest();
        Some(v1::KnownView {
            epoch: held.position.epoch,
            revision: held.position.revision,
            view_id: held.view_id,
            digest: sum,
            count,
        })
    }

    /// A new stream begins; `resumed` tells whether it was opened with [`FrameState::known`].
    pub(crate) fn begin_stream(&mut self, resumed: bool) {
        self.stage = None;
        self.floor = if resumed {
            self.held.map(|h| h.position)
        } else {
            None
        };
    }

    /// Forgets chunks of an update that will not be completed.
    pub(crate) fn drop_stage(&mut self) {
        self.stage = None;
    }

    /// Applies a snapshot's chunk. `forbidden` are the services that may not be kept.
    pub(crate) fn snapshot(
        &mut self,
        s: v1::Snapshot,
        forbidden: &[ServiceName],
        now_ms: i64,
    ) -> Outcome {
        let part = match part(
            s.header,
            s.chunk,
            Kind::Snapshot(s.cause),
            (s.instances, s.services, s.removed),
        ) {
            Ok(part) => part,
            Err(broken) => return Outcome::Broken(broken),
        };
        self.part(part, forbidden, now_ms)
    }

    /// Applies a delta's chunk.
    pub(crate) fn delta(
        &mut self,
        d: v1::Delta,
        forbidden: &[ServiceName],
        now_ms: i64,
    ) -> Outcome {
        let kind = Kind::Delta {
            from: d.from_revision,
        };
        let part = match part(
            d.header,
            d.chunk,
            kind,
            (d.instances, d.services, d.removals),
        ) {
            Ok(part) => part,
            Err(broken) => return Outcome::Broken(broken),
        };
        self.part(part, forbidden, now_ms)
    }

    /// Applies a progress: verifies, then moves.
    pub(crate) fn progress(&mut self, p: &v1::Progress) -> Outcome {
        let Some(header) = &p.header else {
            return violation("a progress without header");
        };
        if self.stage.is_some() {
            return violation("a progress between the chunks of an update");
        }
        let Some(held) = self.held else {
            return violation("a progress before the first snapshot");
        };
        let to = Position::new(header.epoch, header.revision);
        if to.epoch != held.position.epoch || to < held.position {
            return violation(&format!("a progress to {to} from {}", held.position));
        }
        if !self.unverified && !matches(&self.set, header) {
            return self.mismatch();
        }
        self.settle(header);
        Outcome::Moved(if recovering(header) {
            Vec::new()
        } else {
            self.drop_unconfirmed()
        })
    }

    fn part(&mut self, part: Part, forbidden: &[ServiceName], now_ms: i64) -> Outcome {
        let last = part.chunk.position == v1::ChunkPosition::Final as i32;
        if let Err(broken) = self.stage_part(part) {
            self.stage = None;
            return Outcome::Broken(broken);
        }
        if !last {
            return Outcome::Staged;
        }
        let Some(stage) = self.stage.take() else {
            return Outcome::Staged;
        };
        match stage.kind {
            Kind::Snapshot(cause) => self.finish_snapshot(stage, cause, forbidden, now_ms),
            Kind::Delta { .. } => self.finish_delta(stage),
        }
    }

    /// Checks a chunk against those before it and puts it aside.
    fn stage_part(&mut self, part: Part) -> Result<(), Broken> {
        let v = |text: &str| Err(Broken::Violation(text.into()));
        let known = part.chunk.position == v1::ChunkPosition::Partial as i32
            || part.chunk.position == v1::ChunkPosition::Final as i32;
        if !known {
            return v("a chunk of no known position");
        }
        if let Some(stage) = &mut self.stage {
            stage.add(part)?;
        } else if part.chunk.index == 0 {
            self.check_start(&part)?;
            self.stage = Some(Stage::begin(part));
        } else {
            return v("an update that begins in the middle");
        }
        // Whatever is in an update is in the set afterwards: more cannot be right, and a server
        // that sends for ever must not fill this process's memory.
        match &self.stage {
            Some(stage) if stage.entries() as u64 > stage.header.count => {
                v("more entries than the set will have")
            }
            _ => Ok(()),
        }
    }

    /// Whether an update may start where it does.
    fn check_start(&self, part: &Part) -> Result<(), Broken> {
        let to = Position::new(part.header.epoch, part.header.revision);
        match part.kind {
            Kind::Delta { from } => {
                let Some(held) = self.held else {
                    return Err(Broken::Gap);
                };
                let fits = to.epoch == held.position.epoch
                    && from == held.position.revision
                    && to.revision > from
                    && part.header.view_id == held.view_id;
                if fits { Ok(()) } else { Err(Broken::Gap) }
            }
            Kind::Snapshot(cause) => {
                let lost = cause == v1::SnapshotCause::HistoryLost as i32;
                match self.floor {
                    Some(floor) if to < floor && !(lost && to.epoch == floor.epoch) => Err(
                        Broken::Violation(format!("a snapshot at {to} after {floor}")),
                    ),
                    _ => Ok(()),
                }
            }
        }
    }

    fn finish_delta(&mut self, stage: Stage) -> Outcome {
        let (next, mut gone) =
            match self
                .set
                .after(stage.instances, stage.services, stage.removals.clone())
            {
                Ok(next) => next,
                Err(Malformed(text)) => return violation(&text),
            };
        if !self.unverified && !matches(&next, &stage.header) {
            return self.mismatch();
        }
        self.set = next;
        self.settle(&stage.header);
        gone.extend(self.confirm(&stage.removals));
        if !recovering(&stage.header) {
            gone.extend(self.drop_unconfirmed());
        }
        Outcome::Swapped(Swap { cause: None, gone })
    }

    fn finish_snapshot(
        &mut self,
        stage: Stage,
        cause: i32,
        forbidden: &[ServiceName],
        now_ms: i64,
    ) -> Outcome {
        let next = match Set::of(stage.instances, stage.services) {
            Ok(next) => next,
            Err(Malformed(text)) => return violation(&text),
        };
        let verified = matches(&next, &stage.header);
        if !verified && !self.accept_mismatch(now_ms) {
            return self.mismatch();
        }
        if verified {
            self.mismatches.clear();
        }
        self.unverified = !verified;
        self.distrusted = false;
        let epoch_rose = self
            .held
            .is_some_and(|h| h.position.epoch < stage.header.epoch);
        let old = std::mem::replace(&mut self.set, next);
        if !recovering(&stage.header) {
            self.unconfirmed.clear();
        } else if epoch_rose {
            self.keep_unconfirmed(&old);
        }
        self.confirm(&stage.removals);
        self.unconfirmed
            .retain(|i| !forbidden.contains(&i.service_name()));
        self.settle(&stage.header);
        Outcome::Swapped(Swap {
            cause: Some(SnapshotCause::from_wire(cause)),
            gone: Vec::new(),
        })
    }

    /// Keeps the set as it is, but does not resume from it.
    fn mismatch(&mut self) -> Outcome {
        self.distrusted = true;
        Outcome::Broken(Broken::Mismatch)
    }

    /// Counts a mismatching snapshot; true if it is to be taken all the same.
    fn accept_mismatch(&mut self, now_ms: i64) -> bool {
        self.mismatches
            .retain(|at| now_ms - at < MISMATCH_WINDOW_MS);
        self.mismatches.push(now_ms);
        // Once a view was taken unverified, its retries need not fail three times again.
        self.unverified || self.mismatches.len() >= MISMATCHES_ACCEPTED
    }

    /// Keeps the instances of the old history that are not in the new set.
    fn keep_unconfirmed(&mut self, old: &Set) {
        let kept = old.instances().map(|i| {
            let mut i = Instance::clone(i);
            i.unconfirmed = true;
            Arc::new(i)
        });
        self.unconfirmed.extend(kept);
        self.unconfirmed.sort_by(|a, b| a.key.cmp(&b.key));
        self.unconfirmed.dedup_by(|a, b| a.key == b.key);
    }

    /// Lets go of unconfirmed entries whose keys appeared or were removed in the new history.
    fn confirm(&mut self, removals: &[v1::Removal]) -> Vec<Gone> {
        let mut gone = Vec::new();
        if self.unconfirmed.is_empty() {
            return gone;
        }
        let set = &self.set;
        self.unconfirmed.retain(|i| {
            let key = i.key.to_wire();
            let removal = removals.iter().find(|r| r.key.as_ref() == Some(&key));
            gone.extend(removal.map(|r| (i.key.clone(), RemovalReason::from_wire(r.reason))));
            removal.is_none() && !set.contains(&i.key)
        });
        gone
    }

    fn drop_unconfirmed(&mut self) -> Vec<Gone> {
        self.unconfirmed
            .drain(..)
            .map(|i| (i.key.clone(), RemovalReason::SnapshotAbsent))
            .collect()
    }

    /// Moves to where a verified header is.
    fn settle(&mut self, header: &v1::ViewHeader) {
        let position = Position::new(header.epoch, header.revision);
        self.held = Some(Held {
            position,
            view_id: header.view_id,
        });
        self.floor = Some(position);
    }
}

type Content = (Vec<v1::Instance>, Vec<v1::ServiceState>, Vec<v1::Removal>);

fn part(
    header: Option<v1::ViewHeader>,
    chunk: Option<v1::Chunk>,
    kind: Kind,
    (instances, services, removals): Content,
) -> Result<Part, Broken> {
    match (header, chunk) {
        (Some(header), Some(chunk)) => Ok(Part {
            header,
            chunk,
            kind,
            instances,
            services,
            removals,
        }),
        _ => Err(Broken::Violation(
            "an update without header or chunk".into(),
        )),
    }
}

fn matches(set: &Set, header: &v1::ViewHeader) -> bool {
    set.digest()
        == Digest {
            sum: header.digest,
            count: header.count,
        }
}

fn same_update(a: &v1::ViewHeader, b: &v1::ViewHeader) -> bool {
    (a.view_id, a.epoch, a.revision, a.digest, a.count)
        == (b.view_id, b.epoch, b.revision, b.digest, b.count)
}

pub(crate) fn recovering(header: &v1::ViewHeader) -> bool {
    header.flags.contains(&(v1::ViewFlag::Recovering as i32))
}

pub(crate) fn isolated(header: &v1::ViewHeader) -> bool {
    header.flags.contains(&(v1::ViewFlag::Isolated as i32))
}

fn violation(text: &str) -> Outcome {
    Outcome::Broken(Broken::Violation(text.into()))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
