use serde::{Deserialize, Serialize};

use super::{CodeName, rule};
use crate::errors::{Class, map_error};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    code: CodeName,
    domain: String,
    reason: String,
}

#[derive(Serialize)]
struct Output {
    reason: &'static str,
    code: CodeName,
    class: Class,
    retryable: bool,
    next_server: bool,
}

pub(super) fn errors(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: Input| {
        let row = map_error(i.code.0, &i.domain, &i.reason);
        Output {
            reason: row.reason,
            code: CodeName(row.code),
            class: row.class,
            retryable: row.is_retryable(),
            next_server: row.next_server,
        }
    })
}
