//! From a plan and the state of its connections to what calls meet.

use crate::pick::Table;

/// What a slot's connection can do for calls at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Takes calls.
    Ready,
    /// May become ready without a delay: it is being connected, is about to be, or was lost this
    /// instant.
    Coming,
    /// Waits for its next attempt.
    Away,
}

/// A slot of a plan with what is known of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// The slot's share of new calls; 0 takes none.
    pub weight: u64,
    /// Its connection.
    pub reach: Reach,
    /// When its last attempt failed, on any clock that never steps.
    pub failed_ms: i64,
}

/// What a plan comes to with the connections as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usable {
    /// There is a table to pick from.
    Serve(Table),
    /// Nothing is ready, but something soon is, or has failed.
    Wait,
    /// No slot takes calls. The plan tells why.
    Empty,
    /// Every slot that takes calls has failed; this one last, the first of several.
    Unreachable(usize),
}

/// Decides what calls meet. It never mixes: a table has only slots that are ready, and calls wait
/// only if none is.
#[must_use]
pub fn usable(slots: &[SlotState]) -> Usable {
    let mut decided = Usable::Empty;
    let mut ready = 0;
    for (index, slot) in slots.iter().enumerate() {
        if slot.weight == 0 {
            continue;
        }
        match (slot.reach, &decided) {
            (Reach::Ready, _) => ready += 1,
            (Reach::Coming, _) => decided = Usable::Wait,
            (Reach::Away, Usable::Empty) => decided = Usable::Unreachable(index),
            (Reach::Away, &Usable::Unreachable(last)) => {
                if slot.failed_ms > slots[last].failed_ms {
                    decided = Usable::Unreachable(index);
                }
            }
            (Reach::Away, _) => {}
        }
    }
    if ready > 0 {
        decided = Usable::Serve(table(slots, ready));
    }
    decided
}

/// Lists the ready slots with the sums of their weights.
fn table(slots: &[SlotState], ready: usize) -> Table {
    let shift = shift_to_fit(slots);
    let mut table = Table {
        slots: Vec::with_capacity(ready),
        prefix: Vec::with_capacity(ready),
    };
    let mut sum = 0;
    for (index, slot) in slots.iter().enumerate() {
        if slot.weight > 0 && slot.reach == Reach::Ready {
            sum += (slot.weight >> shift).max(1);
            table.slots.push(index);
            table.prefix.push(sum);
        }
    }
    table
}

/// By how many bits to shift weights to the right, each staying at least 1, so that the sum of the
/// ready ones fits into 64 bits.
fn shift_to_fit(slots: &[SlotState]) -> u32 {
    let mut shift = 0;
    loop {
        let sum = slots
            .iter()
            .filter(|slot| slot.weight > 0 && slot.reach == Reach::Ready)
            .try_fold(0u64, |sum, slot| {
                sum.checked_add((slot.weight >> shift).max(1))
            });
        if sum.is_some() {
            return shift;
        }
        shift += 1;
    }
}
