//! The digest that verifies a view. Pure.
//!
//! Each entry has a hash over its kind, key, modify revision and tag; the digest of a set is the
//! sum of the hashes modulo 2^64. A change is therefore one subtraction and one addition, and the
//! order of entries means nothing. It finds defects, not attackers.

use muster_proto::v1;
use muster_rules::digest::{KIND_INSTANCE, KIND_SERVICE_STATE, entry_hash};

/// The digest and the number of entries of a set. The empty set has 0 and 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(crate) struct Digest {
    pub(crate) sum: u64,
    pub(crate) count: u64,
}

impl Digest {
    /// Adds an entry's hash.
    pub(crate) fn add(&mut self, hash: u64) {
        self.sum = self.sum.wrapping_add(hash);
        self.count = self.count.wrapping_add(1);
    }
}

/// The hash of an instance.
pub(crate) fn instance_hash(i: &v1::Instance) -> u64 {
    entry_hash(
        KIND_INSTANCE,
        (&i.namespace, &i.service, &i.instance_id),
        i.modify_revision,
        i.tag,
    )
}

/// The hash of a service state, whose id is empty.
pub(crate) fn service_hash(s: &v1::ServiceState) -> u64 {
    entry_hash(
        KIND_SERVICE_STATE,
        (&s.namespace, &s.service, ""),
        s.modify_revision,
        s.tag,
    )
}
