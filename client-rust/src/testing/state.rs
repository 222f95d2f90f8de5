//! The registry's history: what a real one keeps in its store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::RemovalReason;
use tokio::time::Instant;

use crate::instance::{InstanceKey, ServiceName};

/// Bounds the log; older changes are compacted.
const MAX_LOG: usize = 10_000;

/// Names an entry: an instance, or without an id the state of its service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryName {
    pub(super) service: ServiceName,
    pub(super) id: Option<String>,
}

impl EntryName {
    pub(super) fn of(i: &v1::Instance) -> EntryName {
        EntryName {
            service: ServiceName::new(&i.namespace, &i.service),
            id: Some(i.instance_id.clone()),
        }
    }

    pub(super) fn to_wire(&self) -> v1::InstanceKey {
        v1::InstanceKey {
            namespace: self.service.namespace.clone(),
            service: self.service.service.clone(),
            instance_id: self.id.clone().unwrap_or_default(),
        }
    }
}

impl From<InstanceKey> for EntryName {
    fn from(key: InstanceKey) -> EntryName {
        EntryName {
            service: ServiceName::new(key.namespace, key.service),
            id: Some(key.instance_id),
        }
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.service,
            self.id.as_deref().unwrap_or_default()
        )
    }
}

/// An instance or a service state. It is never changed, only replaced.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Instance(Arc<v1::Instance>),
    Service(Arc<v1::ServiceState>),
}

impl Entry {
    pub(super) fn is_draining(entry: Option<&Entry>) -> bool {
        matches!(entry, Some(Entry::Instance(i)) if i.lifecycle == v1::Lifecycle::Draining as i32)
    }
}

/// What one commit did to one entry.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) name: EntryName,
    pub(super) before: Option<Entry>,
    pub(super) after: Option<Entry>,
    /// Of a removal.
    pub(super) reason: RemovalReason,
}

/// What keeps instances registered until its deadline.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) id: String,
    pub(super) epoch: u64,
    pub(super) incarnation: u64,
    pub(super) request_id: String,
    pub(super) ttl: Duration,
    /// When it expires; none never does.
    pub(super) deadline: Option<Instant>,
}

impl Lease {
    /// Makes it live for its TTL from now.
    pub(super) fn renew(&mut self, now: Instant) {
        if self.deadline.is_some() {
            self.deadline = Some(now + self.ttl);
        }
    }
}

/// The history, and where it stands.
#[derive(Debug)]
pub(super) struct State {
    pub(super) epoch: u64,
    pub(super) revision: u64,
    pub(super) instances: BTreeMap<EntryName, Arc<v1::Instance>>,
    pub(super) services: BTreeMap<ServiceName, Arc<v1::ServiceState>>,
    pub(super) leases: BTreeMap<String, Lease>,
    /// Which lease holds an instance, by its id.
    pub(super) holders: BTreeMap<EntryName, String>,
    /// What happened after `floor`.
    pub(super) log: Vec<Change>,
    pub(super) floor: u64,
}

impl State {
    pub(super) fn new(epoch: u64) -> State {
        State {
            epoch,
            revision: 1,
            instances: BTreeMap::new(),
            services: BTreeMap::new(),
            leases: BTreeMap::new(),
            holders: BTreeMap::new(),
            log: Vec::new(),
            floor: 1,
        }
    }

    /// The lease that holds an instance.
    pub(super) fn holder(&self, name: &EntryName) -> Option<&Lease> {
        self.leases.get(self.holders.get(name)?)
    }

    /// The instances of a lease, sorted.
    pub(super) fn held(&self, lease_id: &str) -> Vec<EntryName> {
        let of = |(name, holder): (&EntryName, &String)| (holder == lease_id).then(|| name.clone());
        self.holders.iter().filter_map(of).collect()
    }

    /// Ends a lease that holds nothing any more.
    pub(super) fn drop_if_empty(&mut self, lease_id: &str) {
        if !self.holders.values().any(|holder| holder == lease_id) {
            self.leases.remove(lease_id);
        }
    }

    /// Forgets the log, as a restart does.
    pub(super) fn compact(&mut self) {
        self.log.clear();
        self.floor = self.revision;
    }

    pub(super) fn begin(&mut self) -> Commit<'_> {
        Commit {
            at: self.revision + 1,
            now: wall_clock(),
            changes: Vec::new(),
            state: self,
        }
    }
}

/// The time of day.
#[allow(
    clippy::disallowed_types,
    reason = "for people; nothing is decided by it"
)]
fn wall_clock() -> prost_types::Timestamp {
    std::time::SystemTime::now().into()
}

/// One revision in the making.
pub(super) struct Commit<'a> {
    pub(super) state: &'a mut State,
    pub(super) at: u64,
    now: prost_types::Timestamp,
    changes: Vec<Change>,
}

impl Commit<'_> {
    /// Writes an instance, and the state of its service if it has none or one that says it is
    /// empty.
    pub(super) fn put(&mut self, mut i: v1::Instance, lease_id: &str) {
        let name = EntryName::of(&i);
        let old = self.state.instances.get(&name).cloned();
        i.incarnation = self
            .state
            .leases
            .get(lease_id)
            .map_or(self.at, |l| l.incarnation);
        i.tag = fastrand::u64(..) | 1;
        i.modify_revision = self.at;
        i.modify_time = Some(self.now);
        i.create_revision = old.as_ref().map_or(self.at, |o| o.create_revision);
        i.create_time = old.as_ref().map_or(Some(self.now), |o| o.create_time);
        set_health(&mut i, old.as_deref(), self.now);
        let i = Arc::new(i);
        self.state.instances.insert(name.clone(), i.clone());
        self.state.holders.insert(name.clone(), lease_id.to_owned());
        let service = name.service.clone();
        self.changes.push(Change {
            revision: self.at,
            name,
            before: old.map(Entry::Instance),
            after: Some(Entry::Instance(i)),
            reason: RemovalReason::Unspecified,
        });
        let known = self.state.services.get(&service);
        if known.is_none_or(|s| s.emptied.is_some()) {
            self.put_service(service, None);
        }
    }

    /// Takes an instance out.
    pub(super) fn remove(&mut self, name: &EntryName, reason: RemovalReason) {
        let Some(old) = self.state.instances.remove(name) else {
            return;
        };
        self.state.holders.remove(name);
        self.changes.push(Change {
            revision: self.at,
            name: name.clone(),
            before: Some(Entry::Instance(old)),
            after: None,
            reason,
        });
    }

    /// Ends a lease and what it holds.
    pub(super) fn end_lease(&mut self, lease_id: &str, reason: RemovalReason) {
        for name in self.state.held(lease_id) {
            self.remove(&name, reason);
        }
        self.state.leases.remove(lease_id);
    }

    fn put_service(&mut self, service: ServiceName, emptied: Option<v1::Emptied>) {
        let old = self.state.services.get(&service).cloned();
        let next = Arc::new(v1::ServiceState {
            namespace: service.namespace.clone(),
            service: service.service.clone(),
            emptied,
            create_revision: old.as_ref().map_or(self.at, |o| o.create_revision),
            modify_revision: self.at,
            tag: fastrand::u64(..) | 1,
            ..Default::default()
        });
        self.state.services.insert(service.clone(), next.clone());
        self.changes.push(Change {
            revision: self.at,
            name: EntryName { service, id: None },
            before: old.map(Entry::Service),
            after: Some(Entry::Service(next)),
            reason: RemovalReason::Unspecified,
        });
    }

    /// Makes the changes history, with the states of the services that they emptied. A commit
    /// without changes is none.
    pub(super) fn end(mut self) -> Vec<Change> {
        for ch in self.changes.clone() {
            let service = &ch.name.service;
            let populated = self.state.instances.keys().any(|n| n.service == *service);
            let told = self.state.services.get(service);
            if ch.after.is_some() || populated || told.is_some_and(|s| s.emptied.is_some()) {
                continue;
            }
            let emptied = v1::Emptied {
                reason: ch.reason as i32,
                instance_id: ch.name.id.clone().unwrap_or_default(),
                revision: self.at,
                time: Some(self.now),
            };
            self.put_service(service.clone(), Some(emptied));
        }
        if self.changes.is_empty() {
            return self.changes;
        }
        self.state.revision = self.at;
        self.state.log.extend(self.changes.iter().cloned());
        while self.state.log.len() > MAX_LOG {
            let floor = self.state.log[0].revision;
            self.state.floor = floor;
            self.state.log.retain(|ch| ch.revision > floor);
        }
        self.changes
    }
}

/// Turns what an instance says of itself into its slot and verdict. `since_time` is that of the
/// same word said before.
fn set_health(i: &mut v1::Instance, old: Option<&v1::Instance>, now: prost_types::Timestamp) {
    i.health = v1::Health::Healthy as i32;
    i.health_slots = Vec::new();
    let Some(said) = i.self_health.take().filter(|s| s.health > i.health) else {
        return;
    };
    let same = old.and_then(|o| o.health_slots.iter().find(|s| s.health == said.health));
    i.health = said.health;
    i.health_slots = vec![v1::HealthSlot {
        source: v1::HealthSource::Self_ as i32,
        health: said.health,
        reason: said.reason,
        since_time: same.map_or(Some(now), |s| s.since_time),
    }];
}

/// A stored instance as its owner wrote it.
pub(super) fn owned(i: &v1::Instance) -> v1::Instance {
    let said = |s: &v1::HealthSlot| v1::SelfHealth {
        health: s.health,
        reason: s.reason.clone(),
    };
    v1::Instance {
        self_health: i.health_slots.first().map(said),
        health: 0,
        health_slots: Vec::new(),
        incarnation: 0,
        tag: 0,
        create_revision: 0,
        modify_revision: 0,
        create_time: None,
        modify_time: None,
        ..i.clone()
    }
}
