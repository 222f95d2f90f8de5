use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::maglev::Ring;
use crate::pick::{Table, pick as pick_rule};
use crate::usable::{Reach, SlotState, Usable, usable};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Input {
    /// Of the slots of the plan, all ready; those of weight 0 are not in the table.
    weights: Vec<Text<u64>>,
    r0: Text<u64>,
    r1: Text<u64>,
    ring: Vec<u32>,
    hash: Text<u64>,
    exclude: i64,
    loads: Vec<Text<u64>>,
}

#[derive(Serialize)]
struct Output {
    position: i64,
}

pub(super) fn pick(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let table = table(&input.weights);
        let ring = (!input.ring.is_empty()).then_some(Ring(input.ring));
        let exclude = usize::try_from(input.exclude).ok();
        let position = pick_rule(
            &table,
            input.r0.0,
            input.r1.0,
            ring.as_ref().map(|ring| (ring, input.hash.0)),
            exclude.filter(|&exclude| exclude < table.slots.len()),
            |position| input.loads.get(position).map_or(0, |load| load.0),
        );
        let position = position.and_then(|position| i64::try_from(position).ok());
        Output {
            position: position.unwrap_or(-1),
        }
    })
}

fn table(weights: &[Text<u64>]) -> Table {
    let slots: Vec<_> = weights
        .iter()
        .map(|weight| SlotState {
            weight: weight.0,
            reach: Reach::Ready,
            failed_ms: 0,
        })
        .collect();
    match usable(&slots) {
        Usable::Serve(table) => table,
        _ => Table::default(),
    }
}
