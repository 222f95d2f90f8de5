//! What a channel, its calls and its owner task share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use http::uri::{Authority, Scheme};
use muster_rules::outcome::Outcome;
use muster_rules::pick;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};

use crate::event::Event;
use crate::telemetry::Telemetry;

use super::conn::Conn;
use super::failure::Failure;
use super::lane::until;
use super::planning::Planning;
use super::slot::Slot;

/// What a channel can do with a request that comes in now.
#[derive(Debug)]
pub(crate) enum Mode {
    /// There are slots to choose from.
    Serve(pick::Table),
    /// There are none yet, but soon there will be, or it will be known why not.
    Wait,
    /// There are none.
    Fail(Failure),
}

/// A slot of the plan, with what the headers of its requests need.
pub(crate) struct Entry {
    pub(crate) slot: Arc<Slot>,
    /// Its connection, if that takes requests.
    pub(crate) conn: Option<Arc<Conn>>,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

impl Entry {
    /// Whether its connection still takes requests.
    pub(crate) fn is_open(&self) -> bool {
        let conn = self.conn.as_ref();
        conn.is_some_and(|conn| conn.lane.gate.is_open())
    }
}

/// What requests are spread over at one moment. Immutable, but for the loads of its slots.
pub(crate) struct Table {
    /// Rises with every table of a channel.
    pub(crate) sequence: u64,
    pub(crate) mode: Mode,
    /// The slots of the plan, in its order.
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) planning: Arc<Planning>,
}

impl Table {
    /// A table without slots. `mode` says what that means.
    pub(crate) fn empty(sequence: u64, mode: Mode) -> Self {
        Self {
            sequence,
            mode,
            entries: Vec::new(),
            planning: Arc::default(),
        }
    }

    /// Whether the next table may not wait for more changes: a connection of this one was lost, or
    /// this one has none to choose and now there is one.
    pub(crate) fn is_overtaken(&self) -> bool {
        let serves = matches!(self.mode, Mode::Serve(_));
        self.entries.iter().any(|entry| {
            let facts = entry.slot.facts();
            match (&entry.conn, facts.open()) {
                (Some(shown), Some(now)) => !Arc::ptr_eq(shown, now),
                (Some(_), None) => true,
                (None, Some(_)) => !serves,
                (None, None) => false,
            }
        })
    }
}

/// What the end of a request said about its slot.
pub(crate) type Report = (Arc<Slot>, Outcome);

/// Reports that wait for the owner. Beyond it they are dropped: failures come in numbers, so that
/// the next ones tell the same.
pub(crate) const REPORTS: usize = 1_024;

/// The shared part of a channel. The owner task alone writes `table`, `slots` and `applied`.
pub(crate) struct Core {
    /// The name in messages: `namespace/service`.
    pub(crate) target: Arc<str>,
    /// Loaded once per pick, and never held across an await.
    pub(crate) table: ArcSwap<Table>,
    pub(crate) slots: ArcSwap<Vec<Arc<Slot>>>,
    /// Every new table is announced here.
    pub(crate) changed: Notify,
    /// Tells the owner that the table is old.
    pub(crate) dirty: Arc<Notify>,
    /// The generation of the set that the table shows.
    pub(crate) applied: watch::Sender<u64>,
    /// Where timers and tasks of calls live, whoever polls the calls.
    pub(crate) runtime: Handle,
    /// Whether a request ever had a key, so that plans need rings.
    pub(crate) hashed: AtomicBool,
    reports: mpsc::Sender<Report>,
    telemetry: Arc<Telemetry>,
}

impl Core {
    pub(crate) fn new(
        target: &str,
        runtime: Handle,
        telemetry: Arc<Telemetry>,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        Self {
            target: target.into(),
            table: ArcSwap::from_pointee(Table::empty(1, Mode::Wait)),
            slots: ArcSwap::default(),
            changed: Notify::new(),
            dirty: Arc::default(),
            applied: watch::Sender::new(0),
            runtime,
            hashed: AtomicBool::new(false),
            reports,
            telemetry,
        }
    }

    /// Publishes a table and wakes all who wait for one.
    pub(crate) fn publish(&self, table: Table) {
        self.table.store(Arc::new(table));
        self.changed.notify_waiters();
    }

    /// Returns once there is a table after the one with this sequence number.
    pub(crate) async fn newer_than(&self, sequence: u64) {
        until(&self.changed, || self.table.load().sequence > sequence).await;
    }

    /// Takes what the end of a request says about its slot.
    pub(crate) fn report(&self, slot: &Arc<Slot>, outcome: Outcome) {
        match outcome {
            Outcome::Ignored => return,
            // Most requests end well at a slot of which nothing else is known.
            Outcome::Success if !slot.troubled.load(Ordering::Relaxed) => return,
            _ => slot.troubled.store(true, Ordering::Relaxed),
        }
        let _ = self.reports.try_send((Arc::clone(slot), outcome));
    }

    /// Tells of something that happened. No lock may be held that a method of the client takes.
    pub(crate) fn observe(&self, event: &Event<'_>) {
        self.telemetry.observe(event);
    }
}
