//! Which slots are a client's own where there are many.

use xxhash_rust::xxh64::xxh64;

use crate::plan::{Candidate, Why};

/// Keeps the members of the first slots in an order that is the client's own, so that many clients
/// with few connections each spread evenly (gRFC A68). A slot that comes or goes changes at most one
/// of them.
pub(crate) fn subset(
    candidates: &[Candidate<'_>],
    members: &mut Vec<usize>,
    size: usize,
    client_id: u64,
    why: &mut [Why],
) {
    if members.len() <= size {
        return;
    }
    let rank = |&i: &usize| {
        let mut bytes = client_id.to_le_bytes().to_vec();
        candidates[i].key.append(&mut bytes);
        (xxh64(&bytes, 0), candidates[i].key)
    };
    members.sort_by_cached_key(rank);
    let mut slots = 0;
    let mut last = None;
    members.retain(|&i| {
        let key = Some(candidates[i].key);
        slots += usize::from(key != last);
        last = key;
        let keep = slots <= size;
        if !keep {
            why[i] = Why::Subset;
        }
        keep
    });
}
