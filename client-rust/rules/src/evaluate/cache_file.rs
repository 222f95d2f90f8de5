use serde::{Deserialize, Serialize};

use super::{Hex, Text, rule};
use crate::cache_file as rules;
use crate::cache_file::{decode_cache_file, encode_cache_file};

/// A file to encode or bytes to decode, and the other of them as the answer.
#[derive(Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<CacheFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CacheFile {
    cluster_id: String,
    selector: Hex,
    epoch: Text<u64>,
    revision: Text<u64>,
    view_id: Text<u64>,
    digest: Text<u64>,
    count: Text<u64>,
    written_ms: i64,
    age_ms: i64,
    entries: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: u8,
    value: Hex,
}

pub(super) fn cache_file(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Case| {
        let mut out = Case::default();
        if let Some(file) = input.file {
            out.bytes = Some(Hex(encode_cache_file(&file.into())));
        }
        match input.bytes.map(|b| decode_cache_file(&b.0)) {
            Some(Ok(file)) => out.file = Some(file.into()),
            Some(Err(fault)) => out.fault = Some(fault.as_str().to_owned()),
            None => {}
        }
        out
    })
}

impl From<CacheFile> for rules::CacheFile {
    fn from(f: CacheFile) -> rules::CacheFile {
        let entry = |e: Entry| rules::CacheEntry {
            kind: e.kind,
            value: e.value.0,
        };
        rules::CacheFile {
            cluster_id: f.cluster_id,
            selector: f.selector.0,
            epoch: f.epoch.0,
            revision: f.revision.0,
            view_id: f.view_id.0,
            digest: f.digest.0,
            count: f.count.0,
            written_ms: f.written_ms,
            age_ms: f.age_ms,
            entries: f.entries.into_iter().map(entry).collect(),
        }
    }
}

impl From<rules::CacheFile> for CacheFile {
    fn from(f: rules::CacheFile) -> CacheFile {
        let entry = |e: rules::CacheEntry| Entry {
            kind: e.kind,
            value: Hex(e.value),
        };
        CacheFile {
            cluster_id: f.cluster_id,
            selector: Hex(f.selector),
            epoch: Text(f.epoch),
            revision: Text(f.revision),
            view_id: Text(f.view_id),
            digest: Text(f.digest),
            count: Text(f.count),
            written_ms: f.written_ms,
            age_ms: f.age_ms,
            entries: f.entries.into_iter().map(entry).collect(),
        }
    }
}
