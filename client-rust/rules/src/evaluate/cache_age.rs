use serde::{Deserialize, Serialize};

use super::rule;
use crate::cache_age::cache_age as age;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    now_ms: i64,
    written_ms: i64,
    age_ms: i64,
    stale_ms: i64,
}

#[derive(Serialize)]
struct Output {
    age_ms: i64,
}

pub(super) fn cache_age(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: Input| Output {
        age_ms: age(i.now_ms, i.written_ms, i.age_ms, i.stale_ms),
    })
}
