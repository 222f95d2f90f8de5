//! What a channel's choice of an endpoint costs, on the very code of the channel: the table is
//! loaded, the turn is counted, and an endpoint is picked.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

#[allow(dead_code, unreachable_pub, reason = "the channel uses all of it")]
#[path = "../../../client-rust/src/tonic_0_14/pick.rs"]
mod choice;

/// Stands for the channel's own, which carries the status of a failed call.
mod failure {
    /// Nothing fails here.
    #[derive(Debug)]
    pub(crate) struct Failure;
}

use choice::{Pick, Table, pick};

const BATCH: u32 = 100_000;
const AT_LEAST: Duration = Duration::from_millis(300);

/// Prints the cost of a pick among so many endpoints, of equal and of different weights.
pub(crate) fn measure(endpoints: u64) -> Result<(), Box<dyn Error>> {
    if endpoints == 0 {
        return Err("there must be an endpoint to pick".into());
    }
    for (name, weight) in [("even", same as fn(u64) -> u64), ("weighted", different)] {
        let entries = (0..endpoints).map(|i| (Arc::new(i), weight(i))).collect();
        let picoseconds = cost(Table::serve(1, entries));
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
fn cost(table: Table<Arc<u64>>) -> u128 {
    let (table, turn) = (ArcSwap::from_pointee(table), AtomicU64::new(7));
    let (began, mut batches) = (Instant::now(), Vec::new());
    while began.elapsed() < AT_LEAST {
        let start = Instant::now();
        for _ in 0..BATCH {
            let table = table.load();
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            if let Pick::Slot(i) = pick(&table, turn, 0, None, None, |_| 0) {
                black_box(Arc::clone(&table.entries[i]));
            }
        }
        batches.push(start.elapsed());
    }
    batches.sort();
    batches[batches.len() / 2].as_nanos() * 1000 / u128::from(BATCH)
}
