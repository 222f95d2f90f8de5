//! The choice of an endpoint for one request, as a pure function over an immutable table.

use std::sync::Arc;

use super::failure::Failure;

/// What a channel can do with a request that comes in now.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// There are entries to choose from.
    Serve,
    /// There are none yet, but soon there will be, or it will be known why not.
    Wait,
    /// There are none.
    Fail(Arc<Failure>),
}

/// The entries that requests may be sent to, all of them ready and with a weight above 0.
#[derive(Debug)]
pub(crate) struct Table<E> {
    /// Rises with every table of a channel.
    pub(crate) sequence: u64,
    pub(crate) mode: Mode,
    pub(crate) entries: Vec<E>,
    /// The sums of the weights up to and including each entry.
    prefix: Vec<u64>,
    /// Whether all weights are equal.
    even: bool,
}

impl<E> Table<E> {
    /// A table without entries. `mode` says what that means.
    pub(crate) fn empty(sequence: u64, mode: Mode) -> Self {
        Self {
            sequence,
            mode,
            entries: Vec::new(),
            prefix: Vec::new(),
            even: true,
        }
    }

    /// A table of entries with their weights, which are above 0. There is at least one.
    pub(crate) fn serve(sequence: u64, weighted: Vec<(E, u64)>) -> Self {
        debug_assert!(!weighted.is_empty());
        let even = weighted.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let mut sum = 0u64;
        let mut table = Self {
            sequence,
            mode: Mode::Serve,
            entries: Vec::with_capacity(weighted.len()),
            prefix: Vec::with_capacity(weighted.len()),
            even,
        };
        for (entry, weight) in weighted {
            debug_assert!(weight > 0);
            sum = sum.saturating_add(weight);
            table.entries.push(entry);
            table.prefix.push(sum);
        }
        table
    }
}

/// The outcome of a pick.
#[derive(Clone, Debug)]
pub(crate) enum Pick {
    /// Send to the entry with this index.
    Slot(usize),
    /// Ask again with the next table.
    Wait,
    /// Fail the request.
    Fail(Arc<Failure>),
    /// Nothing is left but the entry that must not be chosen.
    Excluded,
}

/// Chooses an entry for a request, but never the one with index `exclude`.
///
/// The policy is round robin: in turn where the weights are equal, else in proportion to them and
/// spread evenly. It takes of its words only `r0`, as the number of this pick in its channel's
/// sequence, from any start. Policies that need more find it here: `r1`, a second word; `hash`,
/// that of the request's key, if it has one; `load`, which tells the requests in flight of an
/// entry.
pub(crate) fn pick<E>(
    table: &Table<E>,
    r0: u64,
    _r1: u64,
    _hash: Option<u64>,
    exclude: Option<usize>,
    _load: impl Fn(usize) -> u64,
) -> Pick {
    match &table.mode {
        Mode::Wait => return Pick::Wait,
        Mode::Fail(failure) => return Pick::Fail(Arc::clone(failure)),
        Mode::Serve => {}
    }
    let count = table.entries.len();
    let first = if table.even {
        in_turn(r0, count)
    } else {
        in_proportion(r0, &table.prefix)
    };
    if exclude != Some(first) {
        return Pick::Slot(first);
    }
    if count == 1 {
        return Pick::Excluded;
    }
    Pick::Slot((first + 1) % count)
}

fn in_turn(turn: u64, count: usize) -> usize {
    let index = turn % u64::try_from(count).unwrap_or(u64::MAX);
    usize::try_from(index).unwrap_or_default()
}

/// The multiples of the golden ratio, modulo one, fill an interval more evenly than any random
/// sequence: every run of picks comes close to the weights, without bursts on the heavy entries.
fn in_proportion(turn: u64, prefix: &[u64]) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let total = prefix.last().copied().unwrap_or_default();
    let point = (u128::from(turn.wrapping_mul(GOLDEN)) * u128::from(total)) >> 64;
    prefix.partition_point(|&sum| u128::from(sum) <= point)
}

#[cfg(test)]
#[path = "pick_tests.rs"]
mod tests;
