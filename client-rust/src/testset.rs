//! Builds frames for tests: a model of the registry's set, and what a server would send of it.

use std::collections::BTreeMap;

use muster_proto::v1;

use crate::digest::{Digest, instance_hash, service_hash};

/// The view id that test frames carry unless told otherwise.
pub(crate) const VIEW: u64 = 0x5eed;

/// The set of one view as a server has it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) epoch: u64,
    pub(crate) revision: u64,
    pub(crate) view_id: u64,
    pub(crate) instances: BTreeMap<String, v1::Instance>,
    pub(crate) states: BTreeMap<String, v1::ServiceState>,
    pub(crate) recovering: bool,
    pub(crate) uptime_ms: u64,
}

impl Model {
    pub(crate) fn new(epoch: u64, revision: u64) -> Model {
        Model {
            epoch,
            revision,
            view_id: VIEW,
            instances: BTreeMap::new(),
            states: BTreeMap::new(),
            recovering: false,
            uptime_ms: 1_000,
        }
    }

    /// A model with these instances of shop/pay, and its state.
    pub(crate) fn with(epoch: u64, revision: u64, ids: &[&str]) -> Model {
        let mut m = Model::new(epoch, revision);
        m.state(None);
        for id in ids {
            m.put(id);
        }
        m
    }

    /// Writes an instance of shop/pay at the present revision.
    pub(crate) fn put(&mut self, id: &str) -> v1::Instance {
        let i = v1::Instance {
            namespace: "shop".into(),
            service: "pay".into(),
            instance_id: id.into(),
            endpoints: vec![v1::Endpoint {
                name: "grpc".into(),
                address: format!("{id}.test:80"),
                ..Default::default()
            }],
            modify_revision: self.revision,
            tag: self.epoch * 1_000 + self.revision,
            ..Default::default()
        };
        self.instances.insert(id.into(), i.clone());
        i
    }

    /// Writes the state of shop/pay.
    pub(crate) fn state(&mut self, emptied: Option<v1::Emptied>) -> v1::ServiceState {
        let s = v1::ServiceState {
            namespace: "shop".into(),
            service: "pay".into(),
            emptied,
            modify_revision: self.revision,
            ..Default::default()
        };
        self.states.insert("pay".into(), s.clone());
        s
    }

    pub(crate) fn header(&self) -> v1::ViewHeader {
        let mut d = Digest::default();
        self.instances
            .values()
            .for_each(|i| d.add(instance_hash(i)));
        self.states.values().for_each(|s| d.add(service_hash(s)));
        v1::ViewHeader {
            view_id: self.view_id,
            epoch: self.epoch,
            revision: self.revision,
            digest: d.sum,
            count: d.count,
            server_uptime_ms: self.uptime_ms,
            flags: if self.recovering {
                vec![v1::ViewFlag::Recovering as i32]
            } else {
                vec![]
            },
            ..Default::default()
        }
    }

    /// The whole set in one chunk.
    pub(crate) fn snapshot(&self, cause: v1::SnapshotCause) -> v1::Snapshot {
        v1::Snapshot {
            header: Some(self.header()),
            chunk: Some(chunk(0, true)),
            cause: cause as i32,
            instances: self.instances.values().cloned().collect(),
            services: self.states.values().cloned().collect(),
            removed: vec![],
        }
    }

    /// The difference from an earlier state of this model.
    pub(crate) fn delta_from(&self, old: &Model, reason: v1::RemovalReason) -> v1::Delta {
        v1::Delta {
            header: Some(self.header()),
            chunk: Some(chunk(0, true)),
            from_revision: old.revision,
            instances: self
                .instances
                .iter()
                .filter(|(id, i)| old.instances.get(*id) != Some(i))
                .map(|(_, i)| i.clone())
                .collect(),
            services: self
                .states
                .iter()
                .filter(|(name, s)| old.states.get(*name) != Some(s))
                .map(|(_, s)| s.clone())
                .collect(),
            removals: old
                .instances
                .keys()
                .filter(|id| !self.instances.contains_key(*id))
                .map(|id| removal(id, reason))
                .collect(),
            traces: vec![],
        }
    }

    pub(crate) fn progress(&self) -> v1::Progress {
        v1::Progress {
            header: Some(self.header()),
        }
    }
}

pub(crate) fn removal(id: &str, reason: v1::RemovalReason) -> v1::Removal {
    v1::Removal {
        kind: v1::EntryKind::Instance as i32,
        key: Some(v1::InstanceKey {
            namespace: "shop".into(),
            service: "pay".into(),
            instance_id: id.into(),
        }),
        reason: reason as i32,
    }
}

pub(crate) fn chunk(index: u32, last: bool) -> v1::Chunk {
    v1::Chunk {
        index,
        position: if last {
            v1::ChunkPosition::Final as i32
        } else {
            v1::ChunkPosition::Partial as i32
        },
    }
}

/// A snapshot's content over several chunks of one entry each.
pub(crate) fn split(s: v1::Snapshot) -> Vec<v1::Snapshot> {
    let base = v1::Snapshot {
        instances: vec![],
        services: vec![],
        removed: vec![],
        ..s.clone()
    };
    let mut parts: Vec<v1::Snapshot> = Vec::new();
    parts.extend(s.instances.into_iter().map(|i| v1::Snapshot {
        instances: vec![i],
        ..base.clone()
    }));
    parts.push(v1::Snapshot {
        services: s.services,
        removed: s.removed,
        ..base
    });
    let last = parts.len() - 1;
    for (i, p) in parts.iter_mut().enumerate() {
        p.chunk = Some(chunk(u32::try_from(i).expect("few chunks"), i == last));
    }
    parts
}
