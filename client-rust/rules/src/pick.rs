//! The choice of a slot for one call.

use crate::maglev::Ring;
use crate::random::below;

/// The slots that calls can be sent to at one moment. Positions in it are what [`pick`] returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The indexes of the plan's slots that are ready, rising.
    pub slots: Vec<usize>,
    /// The sums of the weights up to and including each slot; they rise strictly.
    pub prefix: Vec<u64>,
}

/// Chooses the position of a slot for one call, but never `exclude`, which is a position. `None` if
/// nothing else is there.
///
/// Without a hash it is a choice of two: one slot drawn by `r0` in proportion to the weights,
/// another by `r1` among the rest; the second is taken if it has room for the call where the first
/// has none left, for their weights. With a hash it is the slot that the ring leads to. `load` tells the calls in flight at a position.
#[must_use]
pub fn pick(
    table: &Table,
    r0: u64,
    r1: u64,
    hash: Option<(&Ring, u64)>,
    exclude: Option<usize>,
    load: impl Fn(usize) -> u64,
) -> Option<usize> {
    if let Some((ring, hash)) = hash
        && let Some(position) = ring.lookup(table, hash, exclude)
    {
        return Some(position);
    }
    let left = table
        .slots
        .len()
        .saturating_sub(usize::from(exclude.is_some()));
    if left < 1 {
        return None;
    }
    let first = table.draw(r0, exclude, None);
    if left == 1 {
        return Some(first);
    }
    let second = table.draw(r1, exclude, Some(first));
    let has_room = has_room(
        (load(second), table.weight(Some(second))),
        (load(first), table.weight(Some(first))),
    );
    Some(if has_room { second } else { first })
}

impl Table {
    /// Maps a word to a position in proportion to the weights, as if the positions `a` and `b` were
    /// not there.
    fn draw(&self, word: u64, a: Option<usize>, b: Option<usize>) -> usize {
        let total = self.prefix[self.prefix.len() - 1];
        let mut point = below(word, total - self.weight(a) - self.weight(b));
        // In rising order, so that each gap is where the point would meet it.
        for gap in [a.min(b), a.max(b)].into_iter().flatten() {
            if point >= self.start(gap) {
                point += self.weight(Some(gap));
            }
        }
        self.prefix.partition_point(|&sum| sum <= point)
    }

    /// The sum of the weights before a position.
    fn start(&self, position: usize) -> u64 {
        position.checked_sub(1).map_or(0, |last| self.prefix[last])
    }

    /// The weight of a position; 0 for none.
    fn weight(&self, position: Option<usize>) -> u64 {
        position.map_or(0, |position| self.prefix[position] - self.start(position))
    }
}

/// Whether a slot, with the call that is to be placed, has no more load for its weight than another
/// has without it, each as (load, weight). With equal weights that is less load; and while nothing
/// is in flight, calls follow the weights exactly.
fn has_room((load, weight): (u64, u64), (other_load, other_weight): (u64, u64)) -> bool {
    let product = |load: u64, weight: u64| u128::from(load) * u128::from(weight);
    product(load.saturating_add(1), other_weight) <= product(other_load, weight)
}
