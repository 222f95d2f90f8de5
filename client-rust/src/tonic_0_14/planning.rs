//! From a set of endpoints to the slots that a channel keeps, by the rule `plan`.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use muster_rules::maglev::Ring;
use muster_rules::plan::{Candidate, Me, Policy, Why, plan};
use muster_rules::slot_key::SlotKey;
use muster_rules::version_shares::VersionShare;

use super::endpoint::{Endpoint, EndpointKey, EndpointSet};

/// Who plans.
#[derive(Clone, Debug)]
pub(crate) struct Planner {
    /// The channel's authority, for endpoints that name none.
    pub(crate) authority: Arc<str>,
    pub(crate) region: Arc<str>,
    pub(crate) zone: Arc<str>,
    pub(crate) client_id: u64,
}

/// A slot of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) key: EndpointKey,
    /// Its share of new requests; 0: none.
    pub(crate) weight: u64,
    /// Whether to have a connection. One that is there is kept anyway.
    pub(crate) connect: bool,
    pub(crate) generation: u64,
}

/// What a set comes to. Immutable.
#[derive(Debug, Default)]
pub(crate) struct Planning {
    pub(crate) set: Arc<EndpointSet>,
    /// The step that decided, for each endpoint of the set.
    pub(crate) why: Vec<Why>,
    /// The slot of each endpoint of the set, if it has one.
    pub(crate) slot_of: Vec<Option<usize>>,
    pub(crate) slots: Vec<Planned>,
    pub(crate) panicking: bool,
    pub(crate) healthy: usize,
    pub(crate) total: usize,
    authority: Arc<str>,
    ring: OnceLock<Option<Ring>>,
}

impl Planner {
    /// Plans. `ejected` tells what this channel's own requests found out.
    pub(crate) fn plan(
        &self,
        set: Arc<EndpointSet>,
        ejected: impl Fn(&EndpointKey) -> bool,
    ) -> Planning {
        let candidates: Vec<_> = set
            .endpoints
            .iter()
            .map(|e| self.candidate(e, ejected(&e.key)))
            .collect();
        let me = Me {
            region: &self.region,
            zone: &self.zone,
            client_id: self.client_id,
        };
        let plan = plan(&candidates, &policy(&set), &me);
        let mut keys: HashMap<SlotKey<'_>, &EndpointKey> = HashMap::new();
        for (candidate, endpoint) in candidates.iter().zip(&set.endpoints) {
            keys.entry(candidate.key).or_insert(&endpoint.key);
        }
        let slots: Vec<_> = plan
            .slots
            .iter()
            .filter_map(|slot| {
                let key = keys.get(&slot.key)?;
                Some(Planned {
                    key: EndpointKey::clone(key),
                    weight: slot.weight,
                    connect: slot.connect,
                    generation: slot.generation,
                })
            })
            .collect();
        let slot_of = candidates
            .iter()
            .map(|c| plan.slots.binary_search_by_key(&c.key, |s| s.key).ok())
            .collect();
        let (why, panicking) = (plan.why, plan.panicking);
        let (healthy, total) = (plan.healthy, plan.total);
        Planning {
            why,
            slot_of,
            slots,
            panicking,
            healthy,
            total,
            authority: Arc::clone(&self.authority),
            ring: OnceLock::new(),
            set,
        }
    }

    fn candidate<'a>(&'a self, e: &'a Endpoint, ejected: bool) -> Candidate<'a> {
        Candidate {
            key: e.key.slot(&self.authority),
            weight: e.weight,
            lifecycle: e.lifecycle.as_str(),
            health: e.health.as_str(),
            version: &e.version,
            region: &e.region,
            zone: &e.zone,
            generation: e.generation,
            ejected,
        }
    }
}

fn policy(set: &EndpointSet) -> Policy<'_> {
    let policy = &set.policy;
    Policy {
        version_shares: policy
            .version_shares
            .iter()
            .map(|share| VersionShare {
                range: &share.version_range,
                share: share.share,
            })
            .collect(),
        locality_rule: policy.locality_rule.as_str(),
        subset_size: policy.subset_size,
        panic_threshold: policy.panic_threshold,
    }
}

impl Planning {
    /// The ring of the slots, made when it is asked for first: most channels never need one.
    pub(crate) fn ring(&self) -> Option<&Ring> {
        let make = || {
            let slots: Vec<_> = self
                .slots
                .iter()
                .map(|slot| (slot.key.slot(&self.authority), slot.weight))
                .collect();
            Ring::new(&slots)
        };
        self.ring.get_or_init(make).as_ref()
    }

    /// The position in the set of an instance.
    pub(crate) fn instance(&self, id: &str) -> Option<usize> {
        self.set.endpoints.iter().position(|e| &*e.instance == id)
    }
}
