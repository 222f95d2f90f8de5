//! Which slot a request goes to: by the rule `pick`, or where the request wants to go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Extensions;
use muster_rules::maglev::Ring;
use muster_rules::pick::{self, pick};
use muster_rules::usable::Reach;
use xxhash_rust::xxh64::xxh64;

use super::conn::Conn;
use super::core::{Core, Entry, Mode, Table};
use super::failure::Failure;
use super::messages;
use super::usable::unpinnable;

/// An extension of a request: requests of equal keys go to the same instance, as long as it takes
/// requests; if it does not, to the same other one. When instances come or go, few keys move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey(u64);

impl HashKey {
    /// A key, such as the id of a customer.
    #[must_use]
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        Self(xxh64(key.as_ref(), 0))
    }
}

/// An extension of a request: it goes to one instance, whatever its health, or fails with a text
/// that says why it cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedInstance(Arc<str>);

impl PinnedInstance {
    /// The instance of this id.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }
}

/// Where a request wants to go.
pub(crate) struct Wish {
    hash: Option<u64>,
    pin: Option<Arc<str>>,
}

impl Wish {
    pub(crate) fn of(extensions: &Extensions) -> Self {
        Self {
            hash: extensions.get().map(|HashKey(hash)| *hash),
            pin: extensions.get().map(|PinnedInstance(id)| Arc::clone(id)),
        }
    }
}

/// What a table says to a request.
pub(crate) enum Choice {
    /// Send it to this entry.
    Send(Arc<Entry>, Arc<Conn>),
    /// Ask again with the next table.
    Wait,
    /// Fail it.
    Fail(Failure),
    /// Nothing is left but the lane that must not be chosen: this connection's.
    Excluded(Arc<Conn>),
}

/// Chooses for a request, but never the lane `avoid`.
pub(crate) fn choose(core: &Core, table: &Table, wish: &Wish, avoid: Option<u64>) -> Choice {
    if let Some(id) = &wish.pin
        && !table.planning.why.is_empty()
    {
        return pinned(core, table, id, avoid);
    }
    let picks = match &table.mode {
        Mode::Wait => return Choice::Wait,
        Mode::Fail(failure) => return Choice::Fail(failure.clone()),
        Mode::Serve(picks) => picks,
    };
    let lane = |position: usize| {
        let conn = table.entries[picks.slots[position]].conn.as_ref();
        conn.map(|conn| conn.lane.id)
    };
    let exclude =
        avoid.and_then(|avoid| (0..picks.slots.len()).find(|&at| lane(at) == Some(avoid)));
    let hash = wish.hash.and_then(|hash| Some((ring(core, table)?, hash)));
    match at(table, picks, hash, exclude) {
        Some(position) => send(table, picks.slots[position], None),
        None => send(table, picks.slots[0], avoid),
    }
}

fn at(
    table: &Table,
    picks: &pick::Table,
    hash: Option<(&Ring, u64)>,
    exclude: Option<usize>,
) -> Option<usize> {
    let load = |position: usize| table.entries[picks.slots[position]].slot.in_flight();
    let (r0, r1) = (fastrand::u64(..), fastrand::u64(..));
    pick(picks, r0, r1, hash, exclude, load)
}

fn ring<'a>(core: &Core, table: &'a Table) -> Option<&'a Ring> {
    core.hashed.store(true, Ordering::Relaxed);
    table.planning.ring()
}

/// Sends to a slot of the plan, if it is open and not the one to avoid.
fn send(table: &Table, index: usize, avoid: Option<u64>) -> Choice {
    let entry = &table.entries[index];
    match &entry.conn {
        None => Choice::Wait,
        Some(conn) if Some(conn.lane.id) == avoid => Choice::Excluded(Arc::clone(conn)),
        Some(conn) => Choice::Send(Arc::clone(entry), Arc::clone(conn)),
    }
}

/// The slot of one instance, if the plan connects to it.
fn pinned(core: &Core, table: &Table, id: &str, avoid: Option<u64>) -> Choice {
    let (planning, target) = (&table.planning, &core.target);
    let Some(at) = planning.instance(id) else {
        let position = planning.set.position;
        return Choice::Fail(Failure::no_instance(messages::no_instance(
            target, id, position,
        )));
    };
    if let Some(failure) = unpinnable(target, id, planning.why[at]) {
        return Choice::Fail(failure);
    }
    let Some(index) = planning.slot_of[at] else {
        return Choice::Wait;
    };
    let slot = &table.entries[index].slot;
    let reach = slot.facts().reach();
    if reach == Reach::Away {
        let text = messages::instance_away(target, id, &slot.key.address, &slot.cause());
        return Choice::Fail(Failure::no_ready_endpoint(text));
    }
    send(table, index, avoid)
}
