//! What a selector matches, and what changed of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_proto::v1;
use muster_proto::v1::RemovalReason;

use super::selection::Selection;
use super::state::{Change, Entry, EntryName, State};
use crate::digest::{Digest, instance_hash, service_hash};

/// What a selector matches at one revision, sorted.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) instances: Vec<Arc<v1::Instance>>,
    pub(super) services: Vec<Arc<v1::ServiceState>>,
}

impl Found {
    pub(super) fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        self.instances
            .iter()
            .for_each(|i| digest.add(instance_hash(i)));
        self.services
            .iter()
            .for_each(|s| digest.add(service_hash(s)));
        digest
    }
}

/// What changed for a selector between two revisions, net.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) found: Found,
    pub(super) removals: Vec<v1::Removal>,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        self.found.instances.is_empty()
            && self.found.services.is_empty()
            && self.removals.is_empty()
    }
}

impl State {
    /// What a selector matches now.
    pub(super) fn selected(&self, sel: &Selection) -> Found {
        let instances = self.instances.values();
        let services = self.services.values();
        Found {
            instances: instances
                .filter(|i| sel.holds(Some(&Entry::Instance(Arc::clone(i)))))
                .cloned()
                .collect(),
            services: services
                .filter(|s| sel.holds(Some(&Entry::Service(Arc::clone(s)))))
                .cloned()
                .collect(),
        }
    }

    /// The revision of the last change of what a selector matches, as far as the log tells.
    pub(super) fn last_change(&self, sel: &Selection) -> u64 {
        let touches = |ch: &&Change| sel.holds(ch.before.as_ref()) || sel.holds(ch.after.as_ref());
        self.log.iter().rfind(touches).map_or(0, |ch| ch.revision)
    }

    /// The difference from an earlier revision, which the log must reach back to, until now. With
    /// `every_removal` it also lists what came and went in between, for clients that hold entries
    /// of a lost history.
    pub(super) fn since(&self, sel: &Selection, from: u64, every_removal: bool) -> Difference {
        let mut net: BTreeMap<&EntryName, (Option<&Entry>, &Change)> = BTreeMap::new();
        for ch in self.log.iter().filter(|ch| ch.revision > from) {
            net.entry(&ch.name)
                .and_modify(|(_, last)| *last = ch)
                .or_insert((ch.before.as_ref(), ch));
        }
        let mut d = Difference::default();
        for (name, (before, last)) in net {
            match &last.after {
                Some(Entry::Instance(i)) if sel.holds(last.after.as_ref()) => {
                    d.found.instances.push(i.clone());
                }
                Some(Entry::Service(s)) if sel.holds(last.after.as_ref()) => {
                    d.found.services.push(s.clone());
                }
                after => {
                    let gone = every_removal && after.is_none() && sel.names(&name.service);
                    if gone || sel.holds(before) {
                        d.removals.push(removal(last));
                    }
                }
            }
        }
        d
    }
}

fn removal(ch: &Change) -> v1::Removal {
    let reason = match ch.after {
        Some(_) => RemovalReason::FilteredOut,
        None => ch.reason,
    };
    v1::Removal {
        kind: v1::EntryKind::Instance as i32, // service states stay
        key: Some(ch.name.to_wire()),
        reason: reason as i32,
    }
}
