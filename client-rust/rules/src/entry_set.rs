//! What a view holds, and how updates change it.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::digest::{EntryKey, KIND_INSTANCE, KIND_SERVICE_STATE, entry_hash};
use crate::frames::{FrameHeader, OwnedKey, Removed};

/// What frames must know of an entry, whose type is the caller's own.
pub trait Entry: Clone {
    /// The kind as in digests: 1 for instances, 2 for service states.
    const KIND: u8;
    /// The key: namespace, service and id.
    fn key(&self) -> EntryKey<'_>;
    /// The modify revision and the tag.
    fn stamp(&self) -> (u64, u64);
}

impl<E: Entry> Entry for Arc<E> {
    const KIND: u8 = E::KIND;

    fn key(&self) -> EntryKey<'_> {
        (**self).key()
    }

    fn stamp(&self) -> (u64, u64) {
        (**self).stamp()
    }
}

fn hash<E: Entry>(e: &E) -> u64 {
    let (modify_revision, tag) = e.stamp();
    entry_hash(E::KIND, e.key(), modify_revision, tag)
}

pub(crate) fn find<E: Entry>(sorted: &[E], key: EntryKey<'_>) -> Result<usize, usize> {
    sorted.binary_search_by(|e| e.key().cmp(&key))
}

/// Entries sorted by key, and their digest.
#[derive(Debug, Clone)]
pub struct EntrySet<I, S> {
    /// Sorted by key.
    pub instances: Vec<I>,
    /// Sorted by key.
    pub services: Vec<S>,
    /// The sum of all hashes.
    pub digest: u64,
}

impl<I, S> Default for EntrySet<I, S> {
    fn default() -> Self {
        EntrySet {
            instances: Vec::new(),
            services: Vec::new(),
            digest: 0,
        }
    }
}

impl<I: Entry, S: Entry> EntrySet<I, S> {
    /// The number of entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.instances.len() + self.services.len()) as u64
    }

    /// Compares a set with what a header says of it.
    pub(crate) fn matches(&self, h: &FrameHeader) -> bool {
        self.digest == h.digest && self.count() == h.count
    }

    /// The set after a delta; none if an entry occurs twice in it, or a removal is of no known
    /// kind.
    pub(crate) fn after(
        &self,
        instances: Vec<I>,
        services: Vec<S>,
        removals: &[Removed],
    ) -> Option<EntrySet<I, S>> {
        let known = |r: &Removed| [KIND_INSTANCE, KIND_SERVICE_STATE].contains(&r.kind_byte());
        if !removals.iter().all(known) {
            return None;
        }
        let (instances, moved) = apply(&self.instances, instances, removals)?;
        let (services, moved_too) = apply(&self.services, services, removals)?;
        Some(EntrySet {
            instances,
            services,
            digest: self.digest.wrapping_add(moved).wrapping_add(moved_too),
        })
    }

    /// The set of a snapshot. Entries that were held already are kept, so that who compares views
    /// sees what changed. None if an entry occurs twice.
    pub(crate) fn replaced(&self, instances: Vec<I>, services: Vec<S>) -> Option<EntrySet<I, S>> {
        let (instances, sum) = replace(&self.instances, instances)?;
        let (services, sum_too) = replace(&self.services, services)?;
        Some(EntrySet {
            instances,
            services,
            digest: sum.wrapping_add(sum_too),
        })
    }
}

/// Sorts the upserts and the removals of one kind; none if a key occurs twice.
fn changes<E: Entry>(
    mut upserts: Vec<E>,
    removals: &[Removed],
) -> Option<(Vec<E>, BTreeSet<OwnedKey>)> {
    upserts.sort_by(|a, b| a.key().cmp(&b.key()));
    let mut removed = BTreeSet::new();
    for r in removals.iter().filter(|r| r.kind_byte() == E::KIND) {
        let key = r.entry_key();
        if find(&upserts, borrowed(&key)).is_ok() || !removed.insert(key) {
            return None;
        }
    }
    let twice = upserts.windows(2).any(|w| w[0].key() == w[1].key());
    (!twice).then_some((upserts, removed))
}

/// A sorted list after upserts and removals, and how the digest moves. None if a key occurs twice
/// among the changes.
fn apply<E: Entry>(old: &[E], upserts: Vec<E>, removals: &[Removed]) -> Option<(Vec<E>, u64)> {
    let (upserts, removed) = changes(upserts, removals)?;
    let mut digest = upserts.iter().map(hash).fold(0, u64::wrapping_add);
    let mut result = Vec::with_capacity(old.len() + upserts.len());
    let mut upserts = upserts.into_iter().peekable();
    for o in old {
        while let Some(new) = upserts.next_if(|new| new.key() < o.key()) {
            result.push(new);
        }
        let replaced = upserts.peek().map(|new| new.key().cmp(&o.key())) == Some(Ordering::Equal);
        if replaced || !removed.is_empty() && removed.contains(&owned(o.key())) {
            digest = digest.wrapping_sub(hash(o));
        } else {
            result.push(o.clone());
        }
    }
    result.extend(upserts);
    Some((result, digest))
}

fn replace<E: Entry>(old: &[E], mut list: Vec<E>) -> Option<(Vec<E>, u64)> {
    list.sort_by(|a, b| a.key().cmp(&b.key()));
    if list.windows(2).any(|w| w[0].key() == w[1].key()) {
        return None;
    }
    for e in &mut list {
        if let Ok(at) = find(old, e.key())
            && old[at].stamp() == e.stamp()
        {
            *e = old[at].clone();
        }
    }
    let digest = list.iter().map(hash).fold(0, u64::wrapping_add);
    Some((list, digest))
}

pub(crate) fn owned(key: EntryKey<'_>) -> OwnedKey {
    (key.0.to_owned(), key.1.to_owned(), key.2.to_owned())
}

pub(crate) fn borrowed(key: &OwnedKey) -> EntryKey<'_> {
    (&key.0, &key.1, &key.2)
}
