use serde::{Deserialize, Serialize};

use super::{Text, rule};
use crate::usable::{Reach, SlotState, Usable, usable as usable_rule};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    slots: Vec<Slot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    weight: Text<u64>,
    reach: Named,
    #[serde(default)]
    failed_ms: i64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Named {
    Ready,
    Coming,
    Away,
}

#[derive(Serialize)]
struct Output {
    mode: &'static str,
    slots: Vec<usize>,
    prefix: Vec<Text<u64>>,
    /// -1 in other modes than UNREACHABLE.
    failed: i64,
}

pub(super) fn usable(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let slots: Vec<_> = input.slots.iter().map(state).collect();
        let mut output = Output {
            mode: "EMPTY",
            slots: Vec::new(),
            prefix: Vec::new(),
            failed: -1,
        };
        match usable_rule(&slots) {
            Usable::Serve(table) => {
                output.mode = "SERVE";
                output.slots = table.slots;
                output.prefix = table.prefix.into_iter().map(Text).collect();
            }
            Usable::Wait => output.mode = "WAIT",
            Usable::Empty => {}
            Usable::Unreachable(slot) => {
                output.mode = "UNREACHABLE";
                output.failed = i64::try_from(slot).unwrap_or(-1);
            }
        }
        output
    })
}

fn state(slot: &Slot) -> SlotState {
    SlotState {
        weight: slot.weight.0,
        reach: match slot.reach {
            Named::Ready => Reach::Ready,
            Named::Coming => Reach::Coming,
            Named::Away => Reach::Away,
        },
        failed_ms: slot.failed_ms,
    }
}
