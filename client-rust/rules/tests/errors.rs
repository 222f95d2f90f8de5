//! Compares the tables of docs/errors.md with the rule's, so that the page cannot drift.

use std::path::Path;

use muster_rules::codes;
use muster_rules::errors::{Class, ROWS};

#[test]
fn errors_equal_their_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let Ok(page) = std::fs::read_to_string(page) else {
        return; // this is the crate alone
    };
    let want: Vec<_> = page.lines().filter_map(row).collect();
    let got: Vec<_> = ROWS
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                row.reason,
                code_word(row.code),
                class_word(row.class)
            )
        })
        .collect();
    assert_eq!(want, got);
}

/// The first three cells of a line that begins with a reason.
fn row(line: &str) -> Option<String> {
    let mut cells = line.strip_prefix("| `")?.split(" | ");
    let reason = cells.next()?.strip_suffix('`')?;
    Some(format!("{reason} {} {}", cells.next()?, cells.next()?))
}

fn class_word(class: Class) -> &'static str {
    match class {
        Class::No => "no",
        Class::Yes => "yes",
        Class::Elsewhere => "elsewhere",
        Class::Changed => "changed",
        Class::Final => "final",
    }
}

fn code_word(code: codes::Code) -> &'static str {
    match code {
        codes::CANCELLED => "CANCELLED",
        codes::INVALID_ARGUMENT => "INVALID_ARGUMENT",
        codes::DEADLINE_EXCEEDED => "DEADLINE_EXCEEDED",
        codes::NOT_FOUND => "NOT_FOUND",
        codes::ALREADY_EXISTS => "ALREADY_EXISTS",
        codes::PERMISSION_DENIED => "PERMISSION_DENIED",
        codes::RESOURCE_EXHAUSTED => "RESOURCE_EXHAUSTED",
        codes::FAILED_PRECONDITION => "FAILED_PRECONDITION",
        codes::ABORTED => "ABORTED",
        codes::OUT_OF_RANGE => "OUT_OF_RANGE",
        codes::UNIMPLEMENTED => "UNIMPLEMENTED",
        codes::INTERNAL => "INTERNAL",
        codes::UNAVAILABLE => "UNAVAILABLE",
        codes::UNAUTHENTICATED => "UNAUTHENTICATED",
        other => panic!("no reason has the code {other}"),
    }
}
