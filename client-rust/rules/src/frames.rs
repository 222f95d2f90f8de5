//! Applies the frames of one view: stages chunks, verifies the result, then swaps.

use std::fmt;
use std::sync::Arc;

use crate::digest::KIND_SERVICE_STATE;
use crate::entry_set::{Entry, EntrySet};

/// The position of a chunk that more follow.
pub const CHUNK_PARTIAL: i32 = 1;
/// The position of the last chunk.
pub const CHUNK_FINAL: i32 = 2;
/// The cause of a snapshot whose revision may be lower.
pub const CAUSE_HISTORY_LOST: i32 = 5;
/// Why an unconfirmed instance goes in the end.
pub const REASON_SNAPSHOT_ABSENT: i32 = 6;

/// A place in history, ordered by epoch, then revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewPosition {
    /// Which history.
    pub epoch: u64,
    /// Where in it.
    pub revision: u64,
}

impl fmt::Display for ViewPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.revision)
    }
}

/// What a frame says of the view after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrameHeader {
    /// The view.
    pub view_id: u64,
    /// Where it is.
    pub position: ViewPosition,
    /// Its digest.
    pub digest: u64,
    /// How many entries it has.
    pub count: u64,
    /// Whether the registry lost history and instances are coming back.
    pub recovering: bool,
}

/// A key of its own: namespace, service and id.
pub type OwnedKey = (String, String, String);

/// An entry that left, and why. Numbers are those of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// 1 for an instance, 2 for a service state.
    pub kind: i32,
    /// The key; the id of a service state means nothing.
    pub key: OwnedKey,
    /// The reason.
    pub reason: i32,
}

impl Removed {
    pub(crate) fn kind_byte(&self) -> u8 {
        u8::try_from(self.kind).unwrap_or(0)
    }

    /// The key of what goes. A service state has no id, whatever the removal says.
    pub(crate) fn entry_key(&self) -> OwnedKey {
        let mut key = self.key.clone();
        if self.kind_byte() == KIND_SERVICE_STATE {
            key.2.clear();
        }
        key
    }
}

/// A chunk of a snapshot or of a delta.
#[derive(Debug, Clone)]
pub struct Update<I, S> {
    /// None if the frame had none.
    pub header: Option<FrameHeader>,
    /// The index of the chunk.
    pub index: u32,
    /// The position of the chunk; 0 if the frame had none.
    pub position: i32,
    /// Whether this is of a snapshot rather than of a delta.
    pub snapshot: bool,
    /// Why a snapshot was sent.
    pub cause: i32,
    /// The revision that a delta starts from.
    pub from: u64,
    /// Instances that are there afterwards.
    pub instances: Vec<I>,
    /// Service states that are there afterwards.
    pub services: Vec<S>,
    /// Entries that are not.
    pub removals: Vec<Removed>,
}

/// What a frame did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A chunk was put aside, and nothing changed.
    Staged,
    /// The view moved.
    Applied(Applied),
    /// The update starts elsewhere: the view is as it was, reopen with the own position.
    Gap(String),
    /// The server broke a rule: the view is as it was, reopen with the own position.
    Violation(String),
    /// Digest or count do not match: the view is as it was, reopen without position.
    Mismatch(String),
}

/// How the view moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// The cause if a snapshot replaced the whole set.
    pub snapshot: Option<i32>,
    /// The instances that left, with reasons; a snapshot gives none.
    pub gone: Vec<Removed>,
}

/// A position to resume from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Where the set is.
    pub position: ViewPosition,
    /// Of which view it is.
    pub view_id: u64,
    /// Its digest.
    pub digest: u64,
    /// How many entries it has.
    pub count: u64,
}

/// An instance, which can be kept beyond its history.
pub trait InstanceEntry: Entry {
    /// A copy that says that it is unconfirmed.
    #[must_use]
    fn as_unconfirmed(&self) -> Self;
}

impl<I: InstanceEntry> InstanceEntry for Arc<I> {
    fn as_unconfirmed(&self) -> Arc<I> {
        Arc::new((**self).as_unconfirmed())
    }
}

/// What a client holds of one view, and what is under way to it.
#[derive(Debug, Clone)]
pub struct Frames<I, S> {
    pub(crate) set: EntrySet<I, S>,
    /// Instances of a lost history that did not come back yet: sorted, outside of the digest, with
    /// keys that the set lacks.
    pub(crate) unconfirmed: Vec<I>,
    pub(crate) held: bool,
    pub(crate) position: ViewPosition,
    pub(crate) view_id: u64,
    /// Where the stream continues from; zero if it was opened without position, so that whatever
    /// snapshot comes is taken.
    pub(crate) floor: ViewPosition,
    stage: Option<Stage<I, S>>,
    /// The set was taken although it did not match.
    pub(crate) unverified: bool,
    /// An update did not match, so the position is not resumed from.
    pub(crate) distrusted: bool,
    pub(crate) mismatches: Vec<i64>,
}

/// The chunks so far of an update that is not complete.
pub(crate) type Stage<I, S> = (FrameHeader, Update<I, S>);

impl<I, S> Default for Frames<I, S> {
    /// Holds nothing.
    fn default() -> Self {
        Frames {
            set: EntrySet::default(),
            unconfirmed: Vec::new(),
            held: false,
            position: ViewPosition::default(),
            view_id: 0,
            floor: ViewPosition::default(),
            stage: None,
            unverified: false,
            distrusted: false,
            mismatches: Vec::new(),
        }
    }
}

impl<I: InstanceEntry, S: Entry> Frames<I, S> {
    /// What the last verified update left, without unconfirmed instances.
    #[must_use]
    pub fn set(&self) -> &EntrySet<I, S> {
        &self.set
    }

    /// The instances that are kept beyond the set, sorted.
    #[must_use]
    pub fn unconfirmed(&self) -> &[I] {
        &self.unconfirmed
    }

    /// Where the set is; zero before the first one.
    #[must_use]
    pub fn position(&self) -> ViewPosition {
        self.position
    }

    /// The view that the set is of.
    #[must_use]
    pub fn view_id(&self) -> u64 {
        self.view_id
    }

    /// Whether the set was taken although it did not match.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// The position to resume from; none without a verified set.
    #[must_use]
    pub fn known(&self) -> Option<Known> {
        (self.held && !self.unverified && !self.distrusted).then(|| Known {
            position: self.position,
            view_id: self.view_id,
            digest: self.set.digest,
            count: self.set.count(),
        })
    }

    /// Discards what was under way. `resumed` tells whether the stream was opened with
    /// [`Frames::known`].
    pub fn begin_stream(&mut self, resumed: bool) {
        self.stage = None;
        self.floor = if resumed {
            self.position
        } else {
            ViewPosition::default()
        };
    }

    /// Forgets the chunks of an update that will not be completed.
    pub fn drop_stage(&mut self) {
        self.stage = None;
    }

    /// Takes a chunk of a snapshot or delta, and the update after its last. `forbidden` services
    /// (namespace and service) are not kept as unconfirmed.
    pub fn apply(
        &mut self,
        update: Update<I, S>,
        forbidden: &[(&str, &str)],
        now_ms: i64,
    ) -> Outcome {
        let last = update.position == CHUNK_FINAL;
        match self.stage_chunk(update) {
            Err(broken) => broken,
            Ok(stage) if !last => {
                self.stage = Some(stage);
                Outcome::Staged
            }
            Ok((header, update)) if update.snapshot => {
                self.finish_snapshot(&header, update, forbidden, now_ms)
            }
            Ok((header, update)) => self.finish_delta(&header, update),
        }
    }

    /// Verifies, then moves.
    pub fn progress(&mut self, header: Option<FrameHeader>) -> Outcome {
        let staged = self.stage.take().is_some();
        let Some(h) = header else {
            return violation("a progress without header");
        };
        if staged {
            return violation("a progress between the chunks of an update");
        }
        if !self.held {
            return violation("a progress before the first snapshot");
        }
        if h.position.epoch != self.position.epoch || h.position < self.position {
            let text = format!("a progress to {} from {}", h.position, self.position);
            return Outcome::Violation(text);
        }
        if !self.unverified && !self.set.matches(&h) {
            let text = mismatch("a progress", &self.set, &h);
            return self.distrust(text);
        }
        self.settle(&h);
        Outcome::Applied(Applied {
            snapshot: None,
            gone: self.end_recovery(&h),
        })
    }

    /// Checks a chunk against those before it, and joins them. What was put aside is taken, so
    /// that nothing of it is left if the chunk does not fit.
    fn stage_chunk(&mut self, update: Update<I, S>) -> Result<Stage<I, S>, Outcome> {
        let before = self.stage.take();
        let Some(header) = update.header else {
            return Err(violation("an update without header"));
        };
        if update.position != CHUNK_PARTIAL && update.position != CHUNK_FINAL {
            return Err(violation("a chunk of no known position"));
        }
        let joined = match before {
            Some(stage) => join(stage, &header, update)?,
            None if update.index != 0 => {
                return Err(violation("an update that begins in the middle"));
            }
            None => {
                self.check_start(&header, &update)?;
                update
            }
        };
        // Whatever an update brings is in the set afterwards: more cannot be right, and a server
        // that sends for ever must not fill this process's memory.
        if (joined.instances.len() + joined.services.len()) as u64 > header.count {
            return Err(violation("more entries than the set will have"));
        }
        Ok((header, joined))
    }

    /// Whether an update may begin where it does.
    fn check_start(&self, header: &FrameHeader, update: &Update<I, S>) -> Result<(), Outcome> {
        let (to, from) = (header.position, update.from);
        if !update.snapshot {
            let fits = self.held
                && to.epoch == self.position.epoch
                && from == self.position.revision
                && to.revision > from
                && header.view_id == self.view_id;
            if fits {
                return Ok(());
            }
            let text = format!("a delta from revision {from} to {to}, at {}", self.position);
            return Err(Outcome::Gap(text));
        }
        let lost = update.cause == CAUSE_HISTORY_LOST && to.epoch == self.floor.epoch;
        if to < self.floor && !lost {
            let text = format!("a snapshot at {to} after {}", self.floor);
            return Err(Outcome::Violation(text));
        }
        Ok(())
    }
}

/// Adds the next chunk of the same update.
fn join<I, S>(
    (before, mut stage): Stage<I, S>,
    header: &FrameHeader,
    update: Update<I, S>,
) -> Result<Update<I, S>, Outcome> {
    let kind = |u: &Update<I, S>| (u.snapshot, u.cause, u.from);
    if update.index != stage.index.wrapping_add(1) || kind(&update) != kind(&stage) {
        return Err(violation("chunks out of order"));
    }
    let place = |h: &FrameHeader| FrameHeader {
        recovering: false,
        ..*h
    };
    if place(&before) != place(header) {
        return Err(violation("chunks of one update with different headers"));
    }
    stage.index = update.index;
    stage.instances.extend(update.instances);
    stage.services.extend(update.services);
    stage.removals.extend(update.removals);
    Ok(stage)
}

pub(crate) fn violation(text: &str) -> Outcome {
    Outcome::Violation(text.to_owned())
}

/// Says what an update left and what its header says.
pub(crate) fn mismatch<I: Entry, S: Entry>(
    what: &str,
    have: &EntrySet<I, S>,
    h: &FrameHeader,
) -> String {
    format!(
        "{what} left digest {:016x} and count {}, its header says {:016x} and {}",
        have.digest,
        have.count(),
        h.digest,
        h.count
    )
}
