//! The task that owns a channel's table: it takes in sets of endpoints, keeps a slot for each,
//! and publishes who can be chosen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::conn::Origin;
use super::connect::Connector;
use super::core::{Core, Entry};
use super::endpoint::{EndpointKey, EndpointSet, Merged, Protocol, merge};
use super::failure::Failure;
use super::lane::Lane;
use super::pick::{Mode, Table};
use super::slot::{Orders, Slot, Task};
use super::usable::{Candidate, Known, mode};

/// Whether a channel is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// Take no more calls, and end those in flight after this time.
    Closing(Duration),
}

/// A channel's settings, as its owner needs them.
pub(crate) struct Settings {
    pub(crate) authority: Authority,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) connect_timeout: Duration,
    pub(crate) first_view_wait: Duration,
}

struct Held {
    slot: Arc<Slot>,
    orders: watch::Sender<Orders>,
}

/// The owner task's state.
pub(crate) struct Owner {
    core: Arc<Core>,
    settings: Settings,
    source: watch::Receiver<Arc<EndpointSet>>,
    known: Known,
    held: BTreeMap<EndpointKey, Held>,
    /// One task for each slot, also for those removed whose streams go on.
    tasks: JoinSet<()>,
    sequence: u64,
}

impl Owner {
    pub(crate) fn new(
        core: Arc<Core>,
        settings: Settings,
        source: watch::Receiver<Arc<EndpointSet>>,
    ) -> Self {
        let sequence = core.table.load().sequence;
        Self {
            core,
            settings,
            source,
            known: Known::NotYet,
            held: BTreeMap::new(),
            tasks: JoinSet::new(),
            sequence,
        }
    }

    /// Runs until the channel is closed or its last handle is dropped, then until the calls in
    /// flight have ended.
    pub(crate) async fn run(mut self, mut life: watch::Receiver<Life>) {
        let limit = self.settings.first_view_wait;
        let late = tokio::time::sleep(limit);
        tokio::pin!(late);
        self.apply().await;
        let mut has_source = true;
        loop {
            tokio::select! {
                // A set before the state of connections: it may make that state meaningless.
                biased;
                _ = life.changed() => break,
                changed = self.source.changed(), if has_source => match changed {
                    Ok(()) => self.apply().await,
                    // The last set stays: no news is not a reason to stop serving.
                    Err(_) => has_source = false,
                },
                () = self.core.dirty.notified() => self.rebuild(),
                () = &mut late, if matches!(self.known, Known::NotYet) => {
                    self.known = Known::Late(limit);
                    self.rebuild();
                }
                Some(_) = self.tasks.join_next() => {}
            }
        }
        let last = *life.borrow();
        self.end(last).await;
    }

    /// Takes in the newest set.
    async fn apply(&mut self) {
        let set = Arc::clone(&self.source.borrow_and_update());
        if !set.is_known() {
            return;
        }
        self.known = Known::Set(set.absence.clone());
        let merged = merge(&set.endpoints);
        let mut shut: Vec<Arc<Lane>> = Vec::new();
        self.held.retain(|key, held| match merged.get(key) {
            Some(_) => true,
            None => {
                shut.extend(held.slot.remove());
                false
            }
        });
        for (key, merged) in merged {
            match self.held.get(&key) {
                Some(held) => {
                    shut.extend(held.slot.update(&merged));
                    let orders = orders(&merged);
                    held.orders
                        .send_if_modified(|now| std::mem::replace(now, orders) != orders);
                }
                None => self.add(key, &merged),
            }
        }
        let slots = self.held.values().map(|held| Arc::clone(&held.slot));
        self.core.slots.store(Arc::new(slots.collect()));
        self.rebuild();
        // Calls that chose from an older table may be passing a gate this instant. Once they are
        // through, nobody sends to an endpoint that is gone, and that may be said.
        for lane in shut {
            lane.gate.cleared().await;
        }
        self.core.applied.send_replace(set.generation);
    }

    fn add(&mut self, key: EndpointKey, merged: &Merged) {
        let slot = Arc::new(Slot::new(key.clone(), merged));
        let (sender, orders) = watch::channel(orders(merged));
        let origin = Origin {
            key: key.clone(),
            authority: self.settings.authority.as_str().into(),
            connector: Arc::clone(&self.settings.connector),
            in_flight: Arc::clone(&slot.in_flight),
        };
        let dirty = Arc::clone(&self.core.dirty);
        let task = Task::new(
            Arc::clone(&slot),
            origin,
            dirty,
            self.settings.connect_timeout,
        );
        self.tasks.spawn(task.run(orders));
        let held = Held {
            slot,
            orders: sender,
        };
        self.held.insert(key, held);
    }

    /// Publishes a table of what the slots are now.
    fn rebuild(&mut self) {
        let mut candidates = Vec::with_capacity(self.held.len());
        let mut entries = Vec::with_capacity(self.held.len());
        for Held { slot, .. } in self.held.values() {
            let facts = slot.facts();
            let open = facts.open().filter(|_| facts.weight > 0);
            candidates.push(Candidate {
                key: &slot.key,
                weight: facts.weight,
                phase: facts.phase,
                open: open.is_some(),
                failures: facts.failures,
                error: facts.error.clone(),
            });
            if let Some(conn) = open {
                let entry = Entry {
                    conn: Arc::clone(conn),
                    slot: Arc::clone(slot),
                    scheme: scheme(&slot.key),
                    authority: self.authority(&slot.key, facts.authority.as_deref()),
                };
                entries.push((entry, facts.weight));
            }
        }
        self.sequence += 1;
        let table = match mode(&self.core.target, &self.known, &candidates) {
            Mode::Serve => Table::serve(self.sequence, entries),
            other => Table::empty(self.sequence, other),
        };
        self.core.publish(table);
    }

    /// The authority of an endpoint's requests; what cannot be one falls back to the channel's.
    fn authority(&self, key: &EndpointKey, own: Option<&str>) -> Authority {
        own.or(key.server_name.as_deref())
            .and_then(|name| name.parse().ok())
            .unwrap_or_else(|| self.settings.authority.clone())
    }

    /// Ends the slots: without their orders, their tasks finish the streams and return.
    async fn end(self, life: Life) {
        let Self {
            core,
            source,
            held,
            mut tasks,
            ..
        } = self;
        // Whoever feeds the channel is not to wait for its last streams.
        drop(source);
        for held in held.values() {
            held.slot.remove();
        }
        drop(held);
        core.slots.store(Arc::default());
        let closed = Failure::closed(&core.target);
        core.publish(Table::empty(self.sequence + 1, Mode::Fail(closed.into())));
        let all = async { while tasks.join_next().await.is_some() {} };
        match life {
            Life::Open => all.await,
            Life::Closing(grace) => {
                if tokio::time::timeout(grace, all).await.is_err() {
                    tasks.shutdown().await;
                }
            }
        }
    }
}

fn orders(merged: &Merged) -> Orders {
    Orders {
        wanted: merged.weight > 0,
        create_revision: merged.create_revision,
    }
}

fn scheme(key: &EndpointKey) -> Scheme {
    match key.protocol {
        Protocol::H2c => Scheme::HTTP,
        Protocol::H2Tls => Scheme::HTTPS,
    }
}
