use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::digest::entry_hash;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: u8,
    namespace: String,
    service: String,
    instance_id: String,
    modify_revision: Text<u64>,
    tag: Text<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Output {
    hashes: Vec<Text<u64>>,
    digest: Text<u64>,
    count: Text<usize>,
}

pub(super) fn digest(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let hash = |e: &Entry| {
            let key = (&*e.namespace, &*e.service, &*e.instance_id);
            Text(entry_hash(e.kind, key, e.modify_revision.0, e.tag.0))
        };
        let hashes: Vec<Text<u64>> = input.entries.iter().map(hash).collect();
        Output {
            digest: Text(hashes.iter().fold(0, |sum, h| h.0.wrapping_add(sum))),
            count: Text(hashes.len()),
            hashes,
        }
    })
}
