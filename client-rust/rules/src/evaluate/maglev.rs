use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use super::slot_key::Key;
use super::{Text, rule};
use crate::maglev::{RING_SIZE, Ring};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    key: Key,
    weight: Text<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    slots: Vec<Slot>,
    /// To look up while every slot is ready.
    hashes: Vec<Text<u64>>,
}

#[derive(Serialize)]
struct Output {
    /// How many each slot has.
    places: Vec<u32>,
    /// The XXH64 of all places, each as 32 bits, little endian.
    ring: Text<u64>,
    /// The slots that the hashes lead to.
    found: Vec<u32>,
}

pub(super) fn maglev(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let slots: Vec<_> = input
            .slots
            .iter()
            .map(|slot| (slot.key.borrowed(), slot.weight.0))
            .collect();
        let mut output = Output {
            places: vec![0; slots.len()],
            ring: Text(0),
            found: Vec::new(),
        };
        let Some(Ring(places)) = Ring::new(&slots) else {
            return output;
        };
        let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        for &slot in &places {
            output.places[index(slot.into())] += 1;
            bytes.extend_from_slice(&slot.to_le_bytes());
        }
        output.ring = Text(xxh64(&bytes, 0));
        for hash in &input.hashes {
            output.found.push(places[index(hash.0 % RING_SIZE)]);
        }
        output
    })
}
