use serde::{Deserialize, Serialize};

use super::{CodeName, rule};
use crate::outcome::{Ending, Outcome, outcome_of};
use crate::outlier::{Ejecting, Outlier, eject};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeInput {
    code: CodeName,
    sent: bool,
    answered: bool,
    held_ms: i64,
}

#[derive(Serialize)]
struct OutcomeOutput {
    outcome: Outcome,
}

pub(super) fn outcome(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: OutcomeInput| OutcomeOutput {
        outcome: outcome_of(Ending {
            code: i.code.0,
            sent: i.sent,
            answered: i.answered,
            held_ms: i.held_ms,
        }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    outlier: Outlier,
    outcome: Outcome,
    now_ms: i64,
    total: u32,
    others: u32,
}

#[derive(Serialize)]
struct Output {
    outlier: Outlier,
    change: Ejecting,
}

pub(super) fn outlier(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: Input| {
        let (outlier, change) = eject(i.outlier, i.outcome, i.now_ms, i.total, i.others);
        Output { outlier, change }
    })
}
