//! Everything that the registry knows, behind one lock.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::{ErrorReason, RemovalReason};
use tokio::time::Instant;

use super::barrier::{Drain, Ended};
use super::claim::{Claim, judge};
use super::fault::Fault;
use super::selection::Selection;
use super::state::{Commit, EntryName, Lease, State, owned};
use super::stream::Stream;
use super::view::Found;
use crate::instance::duration_to_wire;

/// The cluster of every test registry.
pub(super) const CLUSTER_ID: &str = "mustertest";

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Core {
    /// Those of the server's last start.
    pub(super) server_id: String,
    pub(super) began: Instant,
    pub(super) state: State,
    /// When lost history counts as made up for.
    pub(super) recovering_until: Option<Instant>,
    pub(super) streams: BTreeMap<String, Stream>,
    pub(super) drains: BTreeMap<u64, Drain>,
    pub(super) ended: Vec<Ended>,
    /// Set when somebody may wait for what happened.
    pub(super) dirty: bool,
    numbers: u64,
}

/// A secret or a name that nobody guesses.
pub(super) fn random_id() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

impl Core {
    pub(super) fn new(now: Instant) -> Core {
        Core {
            server_id: random_id(),
            began: now,
            state: State::new(1),
            recovering_until: None,
            streams: BTreeMap::new(),
            drains: BTreeMap::new(),
            ended: Vec::new(),
            dirty: false,
            numbers: 0,
        }
    }

    /// A number that nothing else has.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Makes changes history and tells everybody.
    pub(super) fn commit(&mut self, now: Instant, change: impl FnOnce(&mut Commit<'_>)) {
        let mut c = self.state.begin();
        change(&mut c);
        let changes = c.end();
        if !changes.is_empty() {
            self.drained(&changes, now);
            self.dirty = true;
        }
    }

    /// Whether history was lost so lately that instances are still coming back.
    pub(super) fn is_recovering(&self, now: Instant) -> bool {
        self.recovering_until.is_some_and(|until| now < until)
    }

    /// Describes a view as it is now.
    pub(super) fn header(&self, sel: &Selection, found: &Found, now: Instant) -> v1::ViewHeader {
        let digest = found.digest();
        let uptime = now.saturating_duration_since(self.began).as_millis();
        let mut header = v1::ViewHeader {
            view_id: sel.view_id,
            epoch: self.state.epoch,
            revision: self.state.revision,
            digest: digest.sum,
            count: digest.count,
            server_uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            ..Default::default()
        };
        if self.is_recovering(now) {
            header.flags = vec![v1::ViewFlag::Recovering as i32];
        }
        header
    }

    /// Registers by the rules: all or nothing. A retry decides for all, since the first attempt was
    /// whole.
    pub(super) fn register(
        &mut self,
        request: &v1::RegisterRequest,
        instances: Vec<v1::Instance>,
        ttl: Duration,
        now: Instant,
    ) -> Result<v1::RegisterResponse, Fault> {
        let (mut exist, mut fencing) = (Vec::new(), Vec::new());
        for i in &instances {
            let name = EntryName::of(i);
            let present = self.state.holder(&name);
            match judge(present, request) {
                Claim::Retry => {
                    let id = present.map(|l| l.id.clone()).unwrap_or_default();
                    if let Some(lease) = self.state.leases.get_mut(&id) {
                        lease.renew(now);
                    }
                    return Ok(self.granted(&id));
                }
                Claim::Exists => exist.push(name),
                Claim::Fenced => fencing.push(name),
                Claim::Create | Claim::Replace | Claim::TakeOver => {}
            }
        }
        if let Some(name) = fencing.first() {
            return Err(self.fenced(name));
        }
        if !exist.is_empty() {
            return Err(self.exists(&exist));
        }
        let deadline = Some(now + ttl);
        let id = self.grant(instances, ttl, &request.request_id, deadline, now);
        Ok(self.granted(&id))
    }

    /// Writes instances under a new lease, and gives its id.
    pub(super) fn grant(
        &mut self,
        instances: Vec<v1::Instance>,
        ttl: Duration,
        request_id: &str,
        deadline: Option<Instant>,
        now: Instant,
    ) -> String {
        let id = random_id();
        let lease = Lease {
            id: id.clone(),
            epoch: self.state.epoch,
            incarnation: self.state.revision + 1,
            request_id: request_id.to_owned(),
            ttl,
            deadline,
        };
        self.state.leases.insert(id.clone(), lease);
        let holder = |i| self.state.holders.get(&EntryName::of(i)).cloned();
        let losing: Vec<String> = instances.iter().filter_map(holder).collect();
        self.commit(now, |c| {
            for i in instances {
                c.put(i, &id);
            }
        });
        for loser in losing {
            self.state.drop_if_empty(&loser);
        }
        id
    }

    fn granted(&self, lease_id: &str) -> v1::RegisterResponse {
        let lease = self.state.leases.get(lease_id).map(|l| v1::Lease {
            lease_id: l.id.clone(),
            incarnation: l.incarnation,
            epoch: l.epoch,
            ttl: Some(duration_to_wire(l.ttl)),
        });
        v1::RegisterResponse {
            lease,
            cluster_id: CLUSTER_ID.into(),
            epoch: self.state.epoch,
            revision: self.state.revision,
        }
    }

    fn incarnation(&self, name: &EntryName) -> u64 {
        self.state.instances.get(name).map_or(0, |i| i.incarnation)
    }

    fn fenced(&self, name: &EntryName) -> Fault {
        let incarnation = self.incarnation(name);
        let text = format!(
            "instance {name} is held by a newer lease (incarnation {incarnation}); this one must \
             stop registering it"
        );
        Fault::new(ErrorReason::Fenced, text)
            .with("instance", name)
            .with("incarnation", incarnation)
    }

    fn exists(&self, names: &[EntryName]) -> Fault {
        let mut incarnations: Vec<String> = names
            .iter()
            .map(|n| self.incarnation(n).to_string())
            .collect();
        incarnations.dedup();
        let text = format!(
            "instance {} is registered under another lease (incarnation {}); name it in take_over \
             to replace it, or choose another instance_id",
            names[0], incarnations[0]
        );
        Fault::new(ErrorReason::InstanceExists, text)
            .with("instance", &names[0])
            .with("incarnations", incarnations.join(","))
    }

    /// Finds an instance that a lease holds, or tells why it does not.
    pub(super) fn held(&self, lease_id: &str, name: &EntryName) -> Result<(), Fault> {
        match self.state.holders.get(name) {
            Some(holder) if holder == lease_id => Ok(()),
            Some(_) => Err(self.fenced(name)),
            None if !self.state.leases.contains_key(lease_id) => Err(Fault::lease_unknown()),
            None => {
                let text = format!("instance {name} is not registered under this lease");
                Err(Fault::new(ErrorReason::InstanceUnknown, text).with("instance", name))
            }
        }
    }

    /// Finds the named instances of a lease, or all of them if none is named.
    pub(super) fn held_all(
        &self,
        lease_id: &str,
        keys: Vec<v1::InstanceKey>,
    ) -> Result<Vec<EntryName>, Fault> {
        let named = !keys.is_empty();
        let mut names: Vec<EntryName> = Vec::new();
        for key in keys {
            let name = EntryName::from(crate::InstanceKey::from(key));
            self.held(lease_id, &name)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if !self.state.leases.contains_key(lease_id) {
            return Err(Fault::lease_unknown());
        }
        Ok(if named {
            names
        } else {
            self.state.held(lease_id)
        })
    }

    /// Ends instances of a lease by choice.
    pub(super) fn deregister(&mut self, lease_id: &str, names: &[EntryName], now: Instant) {
        self.commit(now, |c| {
            for name in names {
                c.remove(name, RemovalReason::Deregistered);
            }
        });
        self.state.drop_if_empty(lease_id);
    }

    /// Commits an instance of a lease, unless it says what it said before.
    pub(super) fn rewrite(&mut self, mut next: v1::Instance, lease_id: &str, now: Instant) {
        super::check::well(&mut next);
        let present = self.state.instances.get(&EntryName::of(&next));
        if present.is_some_and(|p| owned(p) == next) {
            return;
        }
        self.commit(now, |c| c.put(next, lease_id));
    }

    /// Expires the leases whose deadline has come, ends recovery when it is over, and tells for how
    /// long nothing else is due.
    pub(super) fn expire_due(&mut self, now: Instant) -> Duration {
        let is_due = |l: &&Lease| l.deadline.is_some_and(|at| at <= now);
        let leases = self.state.leases.values();
        let due: Vec<String> = leases.filter(is_due).map(|l| l.id.clone()).collect();
        self.expire(&due, now);
        if self.recovering_until.is_some_and(|until| until <= now) {
            self.recovering_until = None;
            self.dirty = true; // frames go without the flag
        }
        let deadlines = self.state.leases.values().filter_map(|l| l.deadline);
        deadlines
            .chain(self.recovering_until)
            .map(|at| at.saturating_duration_since(now))
            .min()
            .unwrap_or(Duration::from_secs(3_600))
    }

    /// Expires leases.
    pub(super) fn expire(&mut self, lease_ids: &[String], now: Instant) {
        self.commit(now, |c| {
            for id in lease_ids {
                c.end_lease(id, RemovalReason::Expired);
            }
        });
    }

    /// Gives the server a new life, without the streams of the one before.
    pub(super) fn restarted(&mut self, now: Instant) {
        (self.server_id, self.began) = (random_id(), now);
        for (_, stream) in std::mem::take(&mut self.streams) {
            stream.over.cancel();
            self.ended(stream, now);
        }
        self.dirty = true;
    }
}
