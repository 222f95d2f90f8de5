//! What a channel, its calls and its owner task share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http::uri::{Authority, Scheme};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::conn::Conn;
use super::lane::until;
use super::pick::{Mode, Table};
use super::slot::Slot;

/// A connection that requests may be sent on, with what their headers need.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) conn: Arc<Conn>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

/// The shared part of a channel. The owner task alone writes `table`, `slots` and `applied`.
pub(crate) struct Core {
    /// The name in messages: `namespace/service`.
    pub(crate) target: Arc<str>,
    /// Loaded once per pick, and never held across an await.
    pub(crate) table: ArcSwap<Table<Entry>>,
    pub(crate) slots: ArcSwap<Vec<Arc<Slot>>>,
    /// Every new table is announced here.
    pub(crate) changed: Notify,
    /// Tells the owner that the table is old.
    pub(crate) dirty: Arc<Notify>,
    /// The generation of the set that the table shows.
    pub(crate) applied: watch::Sender<u64>,
    /// Where timers and tasks of calls live, whoever polls the calls.
    pub(crate) runtime: Handle,
    turn: AtomicU64,
}

impl Core {
    pub(crate) fn new(target: &str, runtime: Handle) -> Self {
        Self {
            target: target.into(),
            table: ArcSwap::from_pointee(Table::empty(1, Mode::Wait)),
            slots: ArcSwap::default(),
            changed: Notify::new(),
            dirty: Arc::default(),
            applied: watch::Sender::new(0),
            runtime,
            // Clients that start together must not start with the same endpoint.
            turn: AtomicU64::new(fastrand::u64(..)),
        }
    }

    /// The number of the next pick.
    pub(crate) fn next_turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Publishes a table and wakes all who wait for one.
    pub(crate) fn publish(&self, table: Table<Entry>) {
        self.table.store(Arc::new(table));
        self.changed.notify_waiters();
    }

    /// Returns once there is a table after the one with this sequence number.
    pub(crate) async fn newer_than(&self, sequence: u64) {
        until(&self.changed, || self.table.load().sequence > sequence).await;
    }
}
