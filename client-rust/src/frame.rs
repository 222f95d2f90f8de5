//! Applies the frames of one view by the rules: this is their adapter from and to protobuf.

use std::sync::Arc;

use muster_proto::v1;
use muster_rules::digest::{EntryKey, KIND_INSTANCE, KIND_SERVICE_STATE};
use muster_rules::entry_set::Entry;
use muster_rules::frames::{
    self, FrameHeader, Frames, InstanceEntry, Removed, Update, ViewPosition,
};

use crate::event::FrameFault;
use crate::instance::{Instance, InstanceKey, ServiceName, ServiceState};
use crate::kinds::{RemovalReason, SnapshotCause};

/// What left a view: a key and why.
pub(crate) type Gone = (InstanceKey, RemovalReason);

/// Why a stream has to be opened again, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The update starts elsewhere than this client is: reopen with the own position.
    Gap(String),
    /// The server broke a rule: reopen with the own position.
    Violation(String),
    /// Digest or count do not match: reopen without position.
    Mismatch(String),
}

impl Broken {
    pub(crate) fn fault(&self) -> FrameFault {
        match self {
            Broken::Gap(_) => FrameFault::Gap,
            Broken::Violation(_) => FrameFault::Violation,
            Broken::Mismatch(_) => FrameFault::Mismatch,
        }
    }

    /// What was wrong.
    pub(crate) fn text(&self) -> &str {
        match self {
            Broken::Gap(text) | Broken::Violation(text) | Broken::Mismatch(text) => text,
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

#[doc(hidden)]
impl Entry for Instance {
    const KIND: u8 = KIND_INSTANCE;

    fn key(&self) -> EntryKey<'_> {
        let k = &self.key;
        (&k.namespace, &k.service, &k.instance_id)
    }

    fn stamp(&self) -> (u64, u64) {
        (self.modify_revision, self.tag)
    }
}

#[doc(hidden)]
impl InstanceEntry for Instance {
    fn as_unconfirmed(&self) -> Instance {
        let mut copy = self.clone();
        copy.unconfirmed = true;
        copy
    }
}

#[doc(hidden)]
impl Entry for ServiceState {
    const KIND: u8 = KIND_SERVICE_STATE;

    fn key(&self) -> EntryKey<'_> {
        (&self.name.namespace, &self.name.service, "")
    }

    fn stamp(&self) -> (u64, u64) {
        (self.modify_revision, self.tag)
    }
}

type Chunk = Update<Arc<Instance>, Arc<ServiceState>>;

/// What a client holds of one view, and what is under way to it.
#[derive(Debug, Default, Clone)]
pub(crate) struct FrameState {
    frames: Frames<Arc<Instance>, Arc<ServiceState>>,
}

impl FrameState {
    /// The digest of the set, without what is unconfirmed.
    #[cfg(test)]
    pub(crate) fn digest(&self) -> u64 {
        self.frames.set().digest
    }

    pub(crate) fn is_unverified(&self) -> bool {
        self.frames.is_unverified()
    }

    /// All instances, those that are unconfirmed among them, sorted.
    pub(crate) fn instances(&self) -> Arc<[Arc<Instance>]> {
        let (set, unconfirmed) = (&self.frames.set().instances, self.frames.unconfirmed());
        if unconfirmed.is_empty() {
            return set.as_slice().into();
        }
        let mut all: Vec<Arc<Instance>> = set.iter().chain(unconfirmed).cloned().collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all.into()
    }

    /// The service states, sorted.
    pub(crate) fn services(&self) -> Arc<[Arc<ServiceState>]> {
        self.frames.set().services.as_slice().into()
    }

    /// The position to resume from; none if there is no verified set.
    pub(crate) fn known(&self) -> Option<v1::KnownView> {
        let known = self.frames.known()?;
        Some(v1::KnownView {
            epoch: known.position.epoch,
            revision: known.position.revision,
            view_id: known.view_id,
            digest: known.digest,
            count: known.count,
        })
    }

    /// A new stream begins; `resumed` tells whether it was opened with [`FrameState::known`].
    pub(crate) fn begin_stream(&mut self, resumed: bool) {
        self.frames.begin_stream(resumed);
    }

    /// Forgets chunks of an update that will not be completed.
    pub(crate) fn drop_stage(&mut self) {
        self.frames.drop_stage();
    }

    /// Applies a snapshot's chunk. `forbidden` are the services that may not be kept.
    pub(crate) fn snapshot(
        &mut self,
        s: v1::Snapshot,
        forbidden: &[ServiceName],
        now_ms: i64,
    ) -> Outcome {
        let content = (s.instances, s.services, s.removed);
        let mut update = chunk(s.header.as_ref(), s.chunk, content);
        (update.snapshot, update.cause) = (true, s.cause);
        let forbidden: Vec<(&str, &str)> = forbidden
            .iter()
            .map(|n| (n.namespace.as_str(), n.service.as_str()))
            .collect();
        outcome(self.frames.apply(update, &forbidden, now_ms))
    }

    /// Applies a delta's chunk.
    pub(crate) fn delta(&mut self, d: v1::Delta) -> Outcome {
        let content = (d.instances, d.services, d.removals);
        let mut update = chunk(d.header.as_ref(), d.chunk, content);
        update.from = d.from_revision;
        outcome(self.frames.apply(update, &[], 0))
    }

    /// Applies a progress: verifies, then moves.
    pub(crate) fn progress(&mut self, p: &v1::Progress) -> Outcome {
        match outcome(self.frames.progress(p.header.as_ref().map(header))) {
            Outcome::Swapped(swap) => Outcome::Moved(swap.gone),
            other => other,
        }
    }
}

fn outcome(o: frames::Outcome) -> Outcome {
    match o {
        frames::Outcome::Staged => Outcome::Staged,
        frames::Outcome::Applied(applied) => Outcome::Swapped(Swap {
            cause: applied.snapshot.map(SnapshotCause::from_wire),
            gone: applied.gone.into_iter().map(gone).collect(),
        }),
        frames::Outcome::Gap(text) => Outcome::Broken(Broken::Gap(text)),
        frames::Outcome::Violation(text) => Outcome::Broken(Broken::Violation(text)),
        frames::Outcome::Mismatch(text) => Outcome::Broken(Broken::Mismatch(text)),
    }
}

fn gone(r: Removed) -> Gone {
    let (namespace, service, instance_id) = r.key;
    let key = InstanceKey {
        namespace,
        service,
        instance_id,
    };
    (key, RemovalReason::from_wire(r.reason))
}

type Content = (Vec<v1::Instance>, Vec<v1::ServiceState>, Vec<v1::Removal>);

fn chunk(
    h: Option<&v1::ViewHeader>,
    c: Option<v1::Chunk>,
    (instances, services, removals): Content,
) -> Chunk {
    let place = c.unwrap_or_default();
    let instance = |i| Arc::new(Instance::from_wire(i));
    let service = |s| Arc::new(ServiceState::from_wire(s));
    Update {
        header: h.map(header),
        index: place.index,
        position: place.position,
        snapshot: false,
        cause: 0,
        from: 0,
        instances: instances.into_iter().map(instance).collect(),
        services: services.into_iter().map(service).collect(),
        removals: removals.into_iter().map(removed).collect(),
    }
}

fn removed(r: v1::Removal) -> Removed {
    let key = r.key.unwrap_or_default();
    Removed {
        kind: r.kind,
        key: (key.namespace, key.service, key.instance_id),
        reason: r.reason,
    }
}

fn header(h: &v1::ViewHeader) -> FrameHeader {
    FrameHeader {
        view_id: h.view_id,
        position: ViewPosition {
            epoch: h.epoch,
            revision: h.revision,
        },
        digest: h.digest,
        count: h.count,
        recovering: recovering(h),
    }
}

pub(crate) fn recovering(header: &v1::ViewHeader) -> bool {
    header.flags.contains(&(v1::ViewFlag::Recovering as i32))
}

pub(crate) fn isolated(header: &v1::ViewHeader) -> bool {
    header.flags.contains(&(v1::ViewFlag::Isolated as i32))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
