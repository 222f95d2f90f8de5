//! What a channel's choice of an endpoint costs, by the rule that the channel goes by: the table is
//! loaded, two words are drawn, and a slot is picked by its requests in flight.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use muster_rules::pick::{Table, pick};
use muster_rules::usable::{Reach, SlotState, Usable, usable};

/// A slot with its requests in flight, as the channel has them.
type Slot = Arc<AtomicU64>;

const BATCH: u32 = 100_000;
const AT_LEAST: Duration = Duration::from_millis(300);

/// Prints the cost of a pick among so many endpoints, of equal and of different weights.
pub(crate) fn measure(endpoints: u64) -> Result<(), Box<dyn Error>> {
    for (name, weight) in [("even", same as fn(u64) -> u64), ("weighted", different)] {
        let state = |i| SlotState {
            weight: weight(i),
            reach: Reach::Ready,
            failed_ms: 0,
        };
        let states: Vec<_> = (0..endpoints).map(state).collect();
        let Usable::Serve(table) = usable(&states) else {
            return Err("there must be an endpoint to pick".into());
        };
        let slots = states.iter().map(|_| Slot::default()).collect();
        let picoseconds = cost((table, slots));
        println!("{{\"pick\":\"{name}\",\"ps\":{picoseconds}}}");
    }
    Ok(())
}

fn same(_: u64) -> u64 {
    100
}

fn different(i: u64) -> u64 {
    100 + i
}

/// The median of many batches, in picoseconds for a pick.
fn cost(table: (Table, Vec<Slot>)) -> u128 {
    let table = ArcSwap::from_pointee(table);
    let (began, mut batches) = (Instant::now(), Vec::new());
    while began.elapsed() < AT_LEAST {
        let start = Instant::now();
        for _ in 0..BATCH {
            let guard = table.load();
            let (table, slots) = &**guard;
            let load = |position: usize| slots[table.slots[position]].load(Ordering::Relaxed);
            let (r0, r1) = (fastrand::u64(..), fastrand::u64(..));
            if let Some(position) = pick(table, r0, r1, None, None, load) {
                black_box(Arc::clone(&slots[table.slots[position]]));
            }
        }
        batches.push(start.elapsed());
    }
    batches.sort();
    batches[batches.len() / 2].as_nanos() * 1000 / u128::from(BATCH)
}
