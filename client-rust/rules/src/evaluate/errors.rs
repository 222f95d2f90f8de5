use serde::{Deserialize, Serialize};

use super::{CodeName, rule};
use crate::codes::OK;
use crate::errors::{Class, Row, map_error, row_of};

/// A status; of the table, its reason alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    table: bool,
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

const NO_ROW: Row = Row {
    reason: "",
    code: OK,
    class: Class::No,
    next_server: false,
};

pub(super) fn errors(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: Input| {
        let row = if i.table {
            row_of(&i.reason).unwrap_or(NO_ROW)
        } else {
            map_error(i.code.0, &i.domain, &i.reason)
        };
        Output {
            reason: row.reason,
            code: CodeName(row.code),
            class: row.class,
            retryable: row.is_retryable(),
            next_server: row.next_server,
        }
    })
}
