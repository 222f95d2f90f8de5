use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::budget::Budget;
use crate::codes::OK;
use crate::errors::{Class, Row};
use crate::retry::{Attempted, Verdict, decide};

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Use {
    Call,
    Retry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetInput {
    /// Null where a client begins.
    budget: Option<Budget>,
    #[serde(rename = "use")]
    used: Use,
    now_ms: i64,
}

#[derive(Serialize)]
struct BudgetOutput {
    budget: Budget,
    wait_ms: i64,
}

pub(super) fn budget(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: BudgetInput| {
        let budget = i.budget.unwrap_or_else(|| Budget::full(i.now_ms));
        let (budget, wait_ms) = match i.used {
            Use::Call => (budget.call(i.now_ms), 0),
            Use::Retry => budget.retry(i.now_ms),
        };
        BudgetOutput { budget, wait_ms }
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    class: Class,
    next_server: bool,
    failures: u32,
    cap_ms: i64,
    retry_after_ms: i64,
    left_ms: i64,
    others: bool,
    budget: Budget,
    now_ms: i64,
    word: Text<u64>,
}

#[derive(Serialize)]
struct Output {
    verdict: Verdict,
    wait_ms: i64,
    budget: Budget,
}

pub(super) fn retry(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |i: Input| {
        let attempted = Attempted {
            error: Row {
                reason: "",
                code: OK,
                class: i.class,
                next_server: i.next_server,
            },
            failures: i.failures,
            cap_ms: i.cap_ms,
            retry_after_ms: i.retry_after_ms,
            left_ms: i.left_ms,
            others: i.others,
        };
        let (verdict, wait_ms, budget) = decide(&attempted, i.budget, i.now_ms, i.word.0);
        Output {
            verdict,
            wait_ms,
            budget,
        }
    })
}
