//! What changed between two views of one subscription: [`Update`]. Pure.

use std::sync::Arc;

use crate::event::ChangeTrace;
use crate::freshness::Freshness;
use crate::instance::{Instance, InstanceKey};
use crate::kinds::{RemovalReason, SnapshotCause};
use crate::view::View;

/// An instance that left the view.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removal {
    /// Which one.
    pub key: InstanceKey,
    /// Why.
    pub reason: RemovalReason,
}

/// One step of a subscription: the net difference between the last view that was yielded and the
/// one that is current. Intermediate views may be skipped, last ones never are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Update {
    /// The set was sent whole. The first update always is one.
    Snapshot {
        /// Why it was sent whole.
        cause: SnapshotCause,
        /// Instances new or changed since the view before, sorted.
        upserted: Vec<Arc<Instance>>,
        /// Instances gone, sorted. A snapshot does not tell why: `SNAPSHOT_ABSENT`, unless the view
        /// saw it.
        removed: Vec<Removal>,
        /// The view after it.
        view: Arc<View>,
    },
    /// Some instances changed.
    Delta {
        /// Instances new or changed, sorted.
        upserted: Vec<Arc<Instance>>,
        /// Instances gone, sorted.
        removed: Vec<Removal>,
        /// Traces of the changes, oldest first, as far as their callers sent any: at most the last
        /// few hundred.
        traces: Vec<ChangeTrace>,
        /// The view after it.
        view: Arc<View>,
    },
    /// Nothing changed but how far the view can be trusted.
    Freshness {
        /// What it was.
        from: Freshness,
        /// What it is.
        to: Freshness,
        /// The current view.
        view: Arc<View>,
    },
}

impl Update {
    /// The view after the update.
    #[must_use]
    pub fn view(&self) -> &Arc<View> {
        match self {
            Update::Snapshot { view, .. }
            | Update::Delta { view, .. }
            | Update::Freshness { view, .. } => view,
        }
    }
}

/// The net difference from `old` to `new`; none if there is none to tell of.
pub(crate) fn between(old: &View, new: &Arc<View>) -> Option<Update> {
    let view = new.clone();
    if new.snapshots != old.snapshots {
        let (upserted, removed) = difference(old, new, RemovalReason::SnapshotAbsent);
        let cause = new.last_cause;
        return Some(Update::Snapshot {
            cause,
            upserted,
            removed,
            view,
        });
    }
    if Arc::ptr_eq(&old.instances, &new.instances) {
        return None;
    }
    let (upserted, removed) = difference(old, new, RemovalReason::Unknown);
    if upserted.is_empty() && removed.is_empty() {
        return None;
    }
    Some(Update::Delta {
        upserted,
        removed,
        traces: new.traces_after(old.position),
        view,
    })
}

fn difference(
    old: &View,
    new: &View,
    otherwise: RemovalReason,
) -> (Vec<Arc<Instance>>, Vec<Removal>) {
    let (upserted, gone) = diff(&old.instances, &new.instances, |i| &i.key);
    let removed = gone
        .iter()
        .map(|i| Removal {
            key: i.key.clone(),
            reason: why_removed(old, new, &i.key).unwrap_or(otherwise),
        })
        .collect();
    (upserted, removed)
}

/// Why this key left between the two views, as far as the view still remembers.
fn why_removed(old: &View, new: &View, key: &InstanceKey) -> Option<RemovalReason> {
    new.removals
        .iter()
        .rev()
        .find(|r| r.key == *key && r.at > old.position)
        .map(|r| r.reason)
}

/// Merges two sorted lists: what is new or another in `new`, and what is only in `old`.
fn diff<'a, T: PartialEq, K: Ord + 'a>(
    old: &'a [Arc<T>],
    new: &'a [Arc<T>],
    key: impl Fn(&'a T) -> &'a K,
) -> (Vec<Arc<T>>, Vec<Arc<T>>) {
    let (mut upserted, mut gone) = (Vec::new(), Vec::new());
    let mut old = old.iter().peekable();
    for n in new {
        while let Some(o) = old.next_if(|o| key(o) < key(n)) {
            gone.push(o.clone());
        }
        match old.next_if(|o| key(o) == key(n)) {
            Some(o) if Arc::ptr_eq(o, n) || o == n => {}
            _ => upserted.push(n.clone()),
        }
    }
    gone.extend(old.cloned());
    (upserted, gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Selector;
    use crate::freshness::Ages;
    use crate::kinds::Position;
    use crate::view::{Clock, Removed};
    use muster_proto::v1;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A view of these instances: id and modify revision.
    fn view(set: &BTreeMap<u8, u64>, revision: u64, removals: Vec<Removed>) -> Arc<View> {
        let mut v = View::empty(
            Arc::new(Selector::service("shop", "pay")),
            Clock::start(Ages::default()),
        );
        v.instances = set
            .iter()
            .map(|(id, modify_revision)| {
                Arc::new(Instance::from_wire(v1::Instance {
                    instance_id: format!("{id:03}"),
                    modify_revision: *modify_revision,
                    ..Default::default()
                }))
            })
            .collect();
        v.position = Position::new(1, revision);
        v.removals = removals.into();
        Arc::new(v)
    }

    fn removed(id: u8, revision: u64, reason: RemovalReason) -> Removed {
        Removed {
            key: InstanceKey {
                namespace: String::new(),
                service: String::new(),
                instance_id: format!("{id:03}"),
            },
            reason,
            at: Position::new(1, revision),
        }
    }

    #[test]
    fn removal_reasons_come_from_the_list() {
        let old = view(&[(1, 1), (2, 1), (3, 1)].into(), 5, vec![]);
        let new = view(
            &BTreeMap::new(),
            9,
            vec![
                removed(2, 4, RemovalReason::Deregistered),
                removed(1, 7, RemovalReason::Expired),
            ],
        );
        let Some(Update::Delta { removed, .. }) = between(&old, &new) else {
            panic!("want a delta")
        };
        let reasons: Vec<_> = removed.iter().map(|r| r.reason).collect();
        // The removal of 2 is older than the old view, so it was another one.
        assert_eq!(
            reasons,
            [
                RemovalReason::Expired,
                RemovalReason::Unknown,
                RemovalReason::Unknown
            ]
        );
    }

    #[test]
    fn nothing_changed_is_no_update() {
        let old = view(&[(1, 1)].into(), 5, vec![]);
        let same = view(&[(1, 1)].into(), 9, vec![]);
        assert!(between(&old, &same).is_none());
        let mut snapshot = (*view(&BTreeMap::new(), 9, vec![])).clone();
        snapshot.snapshots = 1;
        let Some(Update::Snapshot { removed, .. }) = between(&old, &Arc::new(snapshot)) else {
            panic!("want a snapshot")
        };
        assert_eq!(removed[0].reason, RemovalReason::SnapshotAbsent);
    }

    proptest! {
        #[test]
        fn delta_leads_from_old_to_new(
            old: BTreeMap<u8, u64>,
            new: BTreeMap<u8, u64>,
        ) {
            let (a, b) = (view(&old, 1, vec![]), view(&new, 2, vec![]));
            let mut set: BTreeMap<_, _> =
                a.instances().iter().map(|i| (i.key.clone(), i.clone())).collect();
            match between(&a, &b) {
                None => prop_assert_eq!(&old, &new),
                Some(Update::Delta { upserted, removed, .. }) => {
                    for r in removed {
                        prop_assert!(set.remove(&r.key).is_some());
                    }
                    for u in upserted {
                        let before = set.insert(u.key.clone(), u.clone());
                        prop_assert!(before != Some(u), "an unchanged entry was told of");
                    }
                }
                Some(other) => prop_assert!(false, "{other:?}"),
            }
            let got: Vec<_> = set.into_values().collect();
            prop_assert_eq!(&got[..], b.instances());
        }
    }
}
