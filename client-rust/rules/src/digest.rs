//! The digest that verifies a view. It finds defects, not attackers.

use xxhash_rust::xxh64::Xxh64;

/// The kind of instances, as digests write it.
pub const KIND_INSTANCE: u8 = 1;
/// The kind of service states; their keys have no id.
pub const KIND_SERVICE_STATE: u8 = 2;

/// Names an entry of a view: namespace, service and instance id.
pub type EntryKey<'a> = (&'a str, &'a str, &'a str);

/// The hash of one entry: XXH64, seed 0, of the kind, the three parts of the key each behind its
/// length, the modify revision and the tag. The digest of a set is the sum of its hashes, modulo
/// 2^64.
#[must_use]
pub fn entry_hash(kind: u8, key: EntryKey<'_>, modify_revision: u64, tag: u64) -> u64 {
    let mut h = Xxh64::new(0);
    h.update(&[kind]);
    for part in [key.0, key.1, key.2] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        h.update(&length.to_le_bytes());
        h.update(part.as_bytes());
    }
    h.update(&modify_revision.to_le_bytes());
    h.update(&tag.to_le_bytes());
    h.digest()
}
