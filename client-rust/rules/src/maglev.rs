//! The ring that leads calls with equal keys to equal slots.

use xxhash_rust::xxh64::xxh64;

use crate::pick::Table;
use crate::slot_key::SlotKey;

/// How many places a ring has: a prime, hundreds of times the instances that a client usually
/// connects to (Eisenbud and others, "Maglev: a fast and reliable software network load balancer",
/// 2016).
pub const RING_SIZE: u64 = 65_537;

/// Bounds the weights of a ring, so that no product overflows.
const RING_WEIGHT: u64 = 1 << 32;

const EMPTY: u32 = u32::MAX;

/// Leads from a hash to a slot: each place holds the index of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring(pub Vec<u32>);

impl Ring {
    /// Gives places to slots in proportion to their weights, at least one to each as long as there
    /// are places. Slots that come and go move few of the others' places. `None` if no slot has a
    /// weight.
    #[must_use]
    pub fn new(slots: &[(SlotKey<'_>, u64)]) -> Option<Self> {
        let mut turns = turns(slots);
        let heaviest = turns.iter().map(|turn| turn.weight).max()?;
        let mut places = vec![EMPTY; usize::try_from(RING_SIZE).unwrap_or(usize::MAX)];
        let mut free = RING_SIZE;
        let mut round = 0;
        loop {
            round += 1;
            for turn in &mut turns {
                if round * turn.weight < turn.due {
                    continue;
                }
                turn.due += heaviest;
                turn.take(&mut places);
                free -= 1;
                if free == 0 {
                    return Some(Self(places));
                }
            }
        }
    }

    /// Walks from the hash's place to the first slot that is in the table and not excluded.
    pub(crate) fn lookup(&self, table: &Table, hash: u64, exclude: Option<usize>) -> Option<usize> {
        let length = self.0.len().max(1) as u64;
        let at = usize::try_from(hash % length).unwrap_or(0);
        self.0[at..].iter().chain(&self.0[..at]).find_map(|&slot| {
            let position = table.slots.binary_search(&(slot as usize)).ok()?;
            (Some(position) != exclude).then_some(position)
        })
    }
}

/// How a slot takes places: `at`, `at + skip`, `at + 2 × skip` and so on.
struct Turn {
    slot: u32,
    weight: u64,
    due: u64,
    at: u64,
    skip: u64,
}

fn turns(slots: &[(SlotKey<'_>, u64)]) -> Vec<Turn> {
    let mut shift = 0;
    for (_, weight) in slots {
        while weight >> shift >= RING_WEIGHT {
            shift += 1;
        }
    }
    let hash = |key: &SlotKey<'_>, first: u8| {
        let mut bytes = vec![first];
        key.append(&mut bytes);
        xxh64(&bytes, 0)
    };
    (0..)
        .zip(slots)
        .filter(|(_, (_, weight))| *weight > 0)
        .map(|(slot, (key, weight))| Turn {
            slot,
            weight: (weight >> shift).max(1),
            due: 0,
            at: hash(key, 1) % RING_SIZE,
            skip: hash(key, 2) % (RING_SIZE - 1) + 1,
        })
        .collect()
}

impl Turn {
    /// Occupies the next free place of the slot's own order.
    fn take(&mut self, places: &mut [u32]) {
        loop {
            if let Some(place) = usize::try_from(self.at)
                .ok()
                .and_then(|at| places.get_mut(at))
                .filter(|place| **place == EMPTY)
            {
                *place = self.slot;
                return;
            }
            self.at = (self.at + self.skip) % RING_SIZE;
        }
    }
}
