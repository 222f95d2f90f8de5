use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::random::{below, split_mix64};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    state: Text<u64>,
    below: Text<u64>,
}

#[derive(Serialize)]
struct Output {
    word: Text<u64>,
    next: Text<u64>,
    below: Text<u64>,
}

pub(super) fn random(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let (word, next) = split_mix64(input.state.0);
        Output {
            word: Text(word),
            next: Text(next),
            below: Text(below(word, input.below.0)),
        }
    })
}
