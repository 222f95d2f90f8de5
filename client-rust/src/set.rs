//! The set of entries that a client holds of one view, and how updates change it. Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_proto::v1;

use crate::digest::{Digest, instance_hash, service_hash};
use crate::instance::{Instance, InstanceKey, ServiceName, ServiceState};
use crate::kinds::RemovalReason;

/// An entry with its hash, so that taking it away needs no wire form.
#[derive(Debug, Clone)]
struct Entry<T> {
    value: Arc<T>,
    hash: u64,
}

/// Entries sorted by key, with their digest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Set {
    instances: Vec<Entry<Instance>>,
    services: Vec<Entry<ServiceState>>,
    digest: Digest,
}

/// A change that cannot be applied, because the server broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// What left a set by a delta: a key and why.
pub(crate) type Gone = (InstanceKey, RemovalReason);

impl Set {
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The instances as a view shows them.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.iter().map(|e| &e.value)
    }

    /// The service states as a view shows them.
    pub(crate) fn services(&self) -> Arc<[Arc<ServiceState>]> {
        self.services.iter().map(|e| e.value.clone()).collect()
    }

    /// Whether the set has an instance of this key.
    pub(crate) fn contains(&self, key: &InstanceKey) -> bool {
        self.instances
            .binary_search_by(|e| e.value.key.cmp(key))
            .is_ok()
    }

    /// A set of exactly these entries.
    pub(crate) fn of(
        instances: Vec<v1::Instance>,
        services: Vec<v1::ServiceState>,
    ) -> Result<Set, Malformed> {
        let mut set = Set::default();
        set.upsert(instances, services)?;
        Ok(set)
    }

    /// This set after a delta, and the instances that went.
    pub(crate) fn after(
        &self,
        instances: Vec<v1::Instance>,
        services: Vec<v1::ServiceState>,
        removals: Vec<v1::Removal>,
    ) -> Result<(Set, Vec<Gone>), Malformed> {
        let removed = Removed::of(removals)?;
        removed.check_disjoint(&instances, &services)?;
        let mut next = self.clone();
        let gone = next.remove(&removed);
        next.upsert(instances, services)?;
        Ok((next, gone))
    }

    fn upsert(
        &mut self,
        instances: Vec<v1::Instance>,
        services: Vec<v1::ServiceState>,
    ) -> Result<(), Malformed> {
        let instances = instances.into_iter().map(|i| Entry {
            hash: instance_hash(&i),
            value: Arc::new(Instance::from_wire(i)),
        });
        let services = services.into_iter().map(|s| Entry {
            hash: service_hash(&s),
            value: Arc::new(ServiceState::from_wire(s)),
        });
        merge(
            &mut self.instances,
            instances.collect(),
            &mut self.digest,
            |i| &i.key,
        )?;
        merge(
            &mut self.services,
            services.collect(),
            &mut self.digest,
            |s| &s.name,
        )
    }

    /// Takes entries out. Keys that the set does not have are ignored: the digest decides.
    fn remove(&mut self, removed: &Removed) -> Vec<Gone> {
        let digest = &mut self.digest;
        if !removed.services.is_empty() {
            self.services
                .retain(|e| keep(!removed.services.contains(&e.value.name), e.hash, digest));
        }
        let mut gone = Vec::new();
        if !removed.instances.is_empty() {
            self.instances.retain(|e| {
                let reason = removed.instances.get(&e.value.key);
                gone.extend(reason.map(|r| (e.value.key.clone(), *r)));
                keep(reason.is_none(), e.hash, digest)
            });
        }
        gone
    }
}

/// The removals of a delta, by key.
#[derive(Default)]
struct Removed {
    instances: BTreeMap<InstanceKey, RemovalReason>,
    services: BTreeSet<ServiceName>,
}

impl Removed {
    fn of(removals: Vec<v1::Removal>) -> Result<Removed, Malformed> {
        let mut all = Removed::default();
        for r in removals {
            let key = r
                .key
                .ok_or_else(|| Malformed("a removal without key".into()))?;
            let new = match v1::EntryKind::try_from(r.kind) {
                Ok(v1::EntryKind::Instance) => {
                    let reason = RemovalReason::from_wire(r.reason);
                    all.instances.insert(key.into(), reason).is_none()
                }
                Ok(v1::EntryKind::ServiceState) => {
                    let name = ServiceName::new(key.namespace, key.service);
                    all.services.insert(name)
                }
                _ => return Err(Malformed(format!("a removal of kind {}", r.kind))),
            };
            if !new {
                return Err(twice());
            }
        }
        Ok(all)
    }

    /// An entry occurs at most once in an update, be it changed or removed.
    fn check_disjoint(
        &self,
        instances: &[v1::Instance],
        services: &[v1::ServiceState],
    ) -> Result<(), Malformed> {
        let both = !self.instances.is_empty()
            && instances.iter().any(|i| {
                let key = InstanceKey {
                    namespace: i.namespace.clone(),
                    service: i.service.clone(),
                    instance_id: i.instance_id.clone(),
                };
                self.instances.contains_key(&key)
            });
        let both_states = !self.services.is_empty()
            && services.iter().any(|s| {
                let name = ServiceName::new(&s.namespace, &s.service);
                self.services.contains(&name)
            });
        if both || both_states {
            return Err(twice());
        }
        Ok(())
    }
}

fn twice() -> Malformed {
    Malformed("an entry occurs twice".into())
}

fn keep(keep: bool, hash: u64, digest: &mut Digest) -> bool {
    if !keep {
        digest.subtract(hash);
    }
    keep
}

/// Puts `new` into the sorted list, replacing equal keys. A key twice in `new` breaks the rules.
fn merge<T, K: Ord>(
    list: &mut Vec<Entry<T>>,
    mut new: Vec<Entry<T>>,
    digest: &mut Digest,
    key: impl Fn(&T) -> &K,
) -> Result<(), Malformed> {
    if new.is_empty() {
        return Ok(());
    }
    new.sort_by(|a, b| key(&a.value).cmp(key(&b.value)));
    if new.windows(2).any(|w| key(&w[0].value) == key(&w[1].value)) {
        return Err(twice());
    }
    new.iter().for_each(|e| digest.add(e.hash));
    let old = std::mem::take(list);
    list.reserve(old.len() + new.len());
    let mut new = new.into_iter().peekable();
    for o in old {
        while let Some(n) = new.next_if(|n| key(&n.value) < key(&o.value)) {
            list.push(n);
        }
        match new.peek().map(|n| key(&n.value).cmp(key(&o.value))) {
            Some(Ordering::Equal) => digest.subtract(o.hash),
            _ => list.push(o),
        }
    }
    list.extend(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn instance(id: u8, modify_revision: u64) -> v1::Instance {
        v1::Instance {
            namespace: "shop".into(),
            service: "pay".into(),
            instance_id: format!("{id:03}"),
            modify_revision,
            ..Default::default()
        }
    }

    fn state(id: u8, modify_revision: u64) -> v1::ServiceState {
        v1::ServiceState {
            namespace: "shop".into(),
            service: format!("{id:03}"),
            modify_revision,
            ..Default::default()
        }
    }

    fn removal(id: u8) -> v1::Removal {
        v1::Removal {
            kind: v1::EntryKind::Instance as i32,
            key: Some(v1::InstanceKey {
                namespace: "shop".into(),
                service: "pay".into(),
                instance_id: format!("{id:03}"),
            }),
            reason: v1::RemovalReason::Expired as i32,
        }
    }

    fn of(model: &BTreeMap<u8, u64>) -> Set {
        let all = |f: fn(u8, u64) -> v1::Instance| model.iter().map(|(k, v)| f(*k, *v)).collect();
        Set::of(all(instance), vec![]).expect("a set")
    }

    #[test]
    fn entry_twice_is_malformed() {
        assert!(Set::of(vec![instance(1, 1), instance(1, 2)], vec![]).is_err());
        assert!(Set::of(vec![], vec![state(1, 1), state(1, 1)]).is_err());
        let mut bad = removal(1);
        bad.kind = 0;
        assert!(Set::default().after(vec![], vec![], vec![bad]).is_err());
        let both = Set::default().after(vec![instance(1, 1)], vec![], vec![removal(1)]);
        assert!(both.is_err());
        let again = Set::default().after(vec![], vec![], vec![removal(1), removal(1)]);
        assert!(again.is_err());
        let mut bad = removal(1);
        bad.key = None;
        assert!(Set::default().after(vec![], vec![], vec![bad]).is_err());
    }

    #[test]
    fn service_states_come_and_go() {
        let set = Set::of(vec![instance(1, 1)], vec![state(1, 1), state(2, 1)]).expect("a set");
        assert_eq!(set.digest().count, 3);
        let gone = v1::Removal {
            kind: v1::EntryKind::ServiceState as i32,
            key: Some(v1::InstanceKey {
                namespace: "shop".into(),
                service: "001".into(),
                ..Default::default()
            }),
            reason: 0,
        };
        let (next, instances) = set
            .after(vec![], vec![state(2, 5)], vec![gone])
            .expect("applies");
        assert!(instances.is_empty());
        assert_eq!(
            next.digest(),
            Set::of(vec![instance(1, 1)], vec![state(2, 5)])
                .expect("a set")
                .digest()
        );
        assert_eq!(set.digest().count, 3, "the old set stays as it was");
    }

    proptest! {
        #[test]
        fn set_equals_its_model(
            before: BTreeMap<u8, u64>,
            upserts: BTreeMap<u8, u64>,
            removals: std::collections::BTreeSet<u8>,
        ) {
            let removals: Vec<u8> =
                removals.into_iter().filter(|r| !upserts.contains_key(r)).collect();
            let mut model = before.clone();
            for r in &removals {
                model.remove(r);
            }
            model.extend(&upserts);
            let (got, gone) = of(&before)
                .after(
                    upserts.iter().rev().map(|(k, v)| instance(*k, *v)).collect(),
                    vec![],
                    removals.iter().map(|r| removal(*r)).collect(),
                )
                .expect("applies");
            prop_assert_eq!(got.digest(), of(&model).digest());
            let keys: Vec<_> = got.instances().map(|i| i.key.instance_id.clone()).collect();
            let want: Vec<_> = model.keys().map(|k| format!("{k:03}")).collect();
            prop_assert_eq!(keys, want);
            prop_assert_eq!(gone.len(), removals.iter().filter(|r| before.contains_key(r)).count());
        }
    }
}
