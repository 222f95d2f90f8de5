//! The digest that verifies a view. Pure.
//!
//! Each entry has a hash over its kind, key, modify revision and tag; the digest of a set is the
//! sum of the hashes modulo 2^64. A change is therefore one subtraction and one addition, and the
//! order of entries means nothing. It finds defects, not attackers.

use muster_proto::v1;
use xxhash_rust::xxh64::Xxh64;

/// Kinds of entries, numbered as in the digest.
const KIND_INSTANCE: u8 = 1;
const KIND_SERVICE_STATE: u8 = 2;

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

    /// Takes an entry's hash away.
    pub(crate) fn subtract(&mut self, hash: u64) {
        self.sum = self.sum.wrapping_sub(hash);
        self.count = self.count.wrapping_sub(1);
    }
}

/// The hash of an instance.
pub(crate) fn instance_hash(i: &v1::Instance) -> u64 {
    entry_hash(
        KIND_INSTANCE,
        [&i.namespace, &i.service, &i.instance_id],
        i.modify_revision,
        i.tag,
    )
}

/// The hash of a service state, whose id is empty.
pub(crate) fn service_hash(s: &v1::ServiceState) -> u64 {
    entry_hash(
        KIND_SERVICE_STATE,
        [&s.namespace, &s.service, ""],
        s.modify_revision,
        s.tag,
    )
}

fn entry_hash(kind: u8, key: [&str; 3], modify_revision: u64, tag: u64) -> u64 {
    let mut h = Xxh64::new(0);
    h.update(&[kind]);
    for part in key {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        h.update(&length.to_le_bytes());
        h.update(part.as_bytes());
    }
    h.update(&modify_revision.to_le_bytes());
    h.update(&tag.to_le_bytes());
    h.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digest_layout_is_fixed() {
        // The bytes are spelled out, so that a change of layout cannot go unseen.
        let bytes: &[u8] = &[
            1, 4, 0, 0, 0, b's', b'h', b'o', b'p', 3, 0, 0, 0, b'p', b'a', b'y', 5, 0, 0, 0, b'p',
            b'a', b'y', b'-', b'7', 0x2c, 3, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
        ];
        assert_eq!(
            entry_hash(1, ["shop", "pay", "pay-7"], 0x32c, 0x0102_0304_0506_0708),
            xxhash_rust::xxh64::xxh64(bytes, 0)
        );
        assert_eq!(Digest::default(), Digest { sum: 0, count: 0 });
    }

    #[test]
    fn digest_separates_parts() {
        let h = |key| entry_hash(1, key, 1, 1);
        assert_ne!(h(["ab", "c", "d"]), h(["a", "bc", "d"]));
        assert_ne!(
            entry_hash(1, ["a", "b", ""], 1, 1),
            entry_hash(2, ["a", "b", ""], 1, 1)
        );
        assert_ne!(
            entry_hash(1, ["a", "b", "c"], 1, 2),
            entry_hash(1, ["a", "b", "c"], 2, 1)
        );
    }

    proptest! {
        #[test]
        fn digest_ignores_order_and_undoes(hashes: Vec<u64>, extra: u64) {
            let mut forward = Digest::default();
            let mut backward = Digest::default();
            hashes.iter().for_each(|h| forward.add(*h));
            hashes.iter().rev().for_each(|h| backward.add(*h));
            prop_assert_eq!(forward, backward);
            forward.add(extra);
            forward.subtract(extra);
            prop_assert_eq!(forward, backward);
        }
    }
}
