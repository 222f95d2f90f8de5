use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::cache_room::{CacheSize, cache_room as room};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    files: Vec<File>,
    needed: Text<u64>,
    limit: Text<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    bytes: Text<u64>,
    modified_ms: i64,
}

#[derive(Serialize)]
struct Output {
    gone: Vec<String>,
    fits: bool,
}

pub(super) fn cache_room(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let size = |f: File| CacheSize {
            name: f.name,
            bytes: f.bytes.0,
            modified_ms: f.modified_ms,
        };
        let files: Vec<CacheSize> = input.files.into_iter().map(size).collect();
        let gone = room(&files, input.needed.0, input.limit.0);
        Output {
            fits: gone.is_some(),
            gone: gone.unwrap_or_default(),
        }
    })
}
