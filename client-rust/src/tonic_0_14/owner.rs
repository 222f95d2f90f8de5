//! The task that owns a channel's table: it takes in sets of endpoints, plans, keeps a slot for each
//! endpoint that the plan names, and publishes who can be chosen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use muster_rules::defaults;
use muster_rules::outcome::Outcome;
use muster_rules::outlier::Ejecting;
use muster_rules::usable::SlotState;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::event::Event;

use super::conn::Origin;
use super::connect::Connector;
use super::core::{Core, Entry, Mode, Report, Table};
use super::ejections::Record;
use super::endpoint::{EndpointKey, EndpointSet, Protocol};
use super::failure::Failure;
use super::lane::Lane;
use super::messages;
use super::planning::{Planned, Planner, Planning};
use super::slot::{Attempts, Orders, Slot, Task, millis};
use super::usable::{Known, mode};

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
    pub(crate) planner: Planner,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) connect_timeout: Duration,
    pub(crate) first_view_wait: Duration,
}

struct Held {
    slot: Arc<Slot>,
    orders: watch::Sender<Orders>,
    /// What requests and attempts to connect told of it.
    record: Record,
    /// The attempts that were judged.
    judged: Attempts,
}

/// The owner task's state.
pub(crate) struct Owner {
    core: Arc<Core>,
    settings: Settings,
    source: watch::Receiver<Arc<EndpointSet>>,
    reports: mpsc::Receiver<Report>,
    known: Known,
    planning: Arc<Planning>,
    held: BTreeMap<EndpointKey, Held>,
    /// One task for each slot, also for those removed whose streams go on.
    tasks: JoinSet<()>,
    sequence: u64,
    /// When a table is published that may wait; `None` if none does.
    soon: Option<Instant>,
    /// The time from which the channel's milliseconds count.
    epoch: Instant,
}

impl Owner {
    pub(crate) fn new(
        core: Arc<Core>,
        settings: Settings,
        source: watch::Receiver<Arc<EndpointSet>>,
        reports: mpsc::Receiver<Report>,
    ) -> Self {
        let sequence = core.table.load().sequence;
        Self {
            core,
            settings,
            source,
            reports,
            known: Known::NotYet,
            planning: Arc::default(),
            held: BTreeMap::new(),
            tasks: JoinSet::new(),
            sequence,
            soon: None,
            epoch: Instant::now(),
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
            let (release, soon) = (self.next_release(), self.soon);
            tokio::select! {
                // A set before the state of connections: it may make that state meaningless.
                biased;
                _ = life.changed() => break,
                changed = self.source.changed(), if has_source => match changed {
                    Ok(()) => self.apply().await,
                    // The last set stays: no news is not a reason to stop serving.
                    Err(_) => has_source = false,
                },
                () = until(soon) => self.rebuild(),
                () = self.core.dirty.notified() => self.connections_changed().await,
                Some((slot, outcome)) = self.reports.recv() => self.reported(&slot, outcome).await,
                () = until(release) => self.release().await,
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
        let generation = set.generation;
        self.replan(set).await;
        self.core.applied.send_replace(generation);
    }

    /// Plans, and has the slots follow. When it returns, no request goes beyond the plan any more.
    async fn replan(&mut self, set: Arc<EndpointSet>) {
        let planning = self.plan(set);
        let mut shut: Vec<Arc<Lane>> = Vec::new();
        let planned: BTreeMap<_, _> = planning.slots.iter().map(|p| (&p.key, p)).collect();
        self.held.retain(|key, held| match planned.get(key) {
            Some(_) => true,
            None => {
                shut.extend(held.slot.remove());
                false
            }
        });
        for planned in &planning.slots {
            match self.held.get_mut(&planned.key) {
                Some(held) => {
                    shut.extend(held.slot.update(planned));
                    held.follow(planned);
                }
                None => self.add(planned),
            }
        }
        self.planning = Arc::new(planning);
        let slots = self.held.values().map(|held| Arc::clone(&held.slot));
        self.core.slots.store(Arc::new(slots.collect()));
        self.rebuild();
        // Calls that chose from an older table may be passing a gate this instant. Once they are
        // through, nobody sends to an endpoint that is gone, and that may be said.
        for lane in shut {
            lane.gate.cleared().await;
        }
    }

    fn plan(&self, set: Arc<EndpointSet>) -> Planning {
        let renewed = |held: &Held, generation| held.orders.borrow().generation < generation;
        let generations: BTreeMap<_, _> = set.endpoints.iter().fold(
            BTreeMap::new(),
            |mut all: BTreeMap<&EndpointKey, u64>, e| {
                let generation = all.entry(&e.key).or_default();
                *generation = e.generation.max(*generation);
                all
            },
        );
        // What was learned about the process of before is void.
        let ejected = |key: &EndpointKey| {
            self.held.get(key).is_some_and(|held| {
                held.record.is_ejected() && !generations.get(key).is_some_and(|&g| renewed(held, g))
            })
        };
        let planning = self.settings.planner.plan(Arc::clone(&set), ejected);
        if planning.panicking != self.planning.panicking {
            self.panic_changed(&planning);
        }
        if self.core.hashed.load(Ordering::Relaxed) {
            planning.ring();
        }
        planning
    }

    fn panic_changed(&self, planning: &Planning) {
        let target = &self.core.target;
        if planning.panicking {
            let text = messages::panic(target, planning.healthy, planning.total);
            tracing::warn!("{text}");
        }
        self.core.observe(&Event::PanicChanged {
            service: target,
            panic: planning.panicking,
        });
    }

    fn add(&mut self, planned: &Planned) {
        let slot = Arc::new(Slot::new(planned));
        let (sender, orders) = watch::channel(Orders::from(planned));
        let origin = Origin {
            key: planned.key.clone(),
            authority: self.settings.authority.as_str().into(),
            connector: Arc::clone(&self.settings.connector),
            in_flight: Arc::clone(&slot.in_flight),
        };
        let dirty = Arc::clone(&self.core.dirty);
        let timeout = self.settings.connect_timeout;
        let task = Task::new(Arc::clone(&slot), origin, dirty, timeout, self.epoch);
        self.tasks.spawn(task.run(orders));
        let held = Held {
            slot,
            orders: sender,
            record: Record::default(),
            judged: Attempts::default(),
        };
        self.held.insert(planned.key.clone(), held);
    }

    /// Publishes a table of what the slots are now.
    fn rebuild(&mut self) {
        self.soon = None;
        let mut states = Vec::with_capacity(self.planning.slots.len());
        let mut entries = Vec::with_capacity(self.planning.slots.len());
        for planned in &self.planning.slots {
            let Some(Held { slot, .. }) = self.held.get(&planned.key) else {
                continue;
            };
            let facts = slot.facts();
            states.push(SlotState {
                weight: planned.weight,
                reach: facts.reach(),
                failed_ms: facts.failed_ms,
            });
            entries.push(Arc::new(Entry {
                conn: facts.open().cloned(),
                slot: Arc::clone(slot),
                scheme: scheme(&slot.key),
                authority: self.authority(&slot.key),
            }));
        }
        let failure = |index: usize| {
            let slot = &entries[index].slot;
            (slot.key.to_string(), slot.cause())
        };
        let mode = mode(
            &self.core.target,
            &self.known,
            &self.planning,
            &states,
            failure,
        );
        self.sequence += 1;
        self.core.publish(Table {
            sequence: self.sequence,
            mode,
            entries,
            planning: Arc::clone(&self.planning),
        });
    }

    /// The authority of an endpoint's requests; what cannot be one falls back to the channel's.
    fn authority(&self, key: &EndpointKey) -> Authority {
        key.authority
            .as_deref()
            .or(key.server_name.as_deref())
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
        core.publish(Table::empty(self.sequence + 1, Mode::Fail(closed)));
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

/// What requests and attempts to connect tell of slots.
impl Owner {
    /// Takes in what came of attempts to connect, and publishes a table, now or soon.
    async fn connections_changed(&mut self) {
        let mut attempted = Vec::new();
        for (key, held) in &mut self.held {
            let outcomes = held.attempted();
            attempted.extend(outcomes.into_iter().map(|outcome| (key.clone(), outcome)));
        }
        let mut replan = false;
        for (key, outcome) in attempted {
            replan |= self.judge(&key, outcome);
        }
        if replan {
            return self.replan(Arc::clone(&self.planning.set)).await;
        }
        if self.core.table.load().is_overtaken() {
            self.rebuild();
        } else {
            let soon = Instant::now() + defaults::COALESCE;
            self.soon.get_or_insert(soon);
        }
    }

    async fn reported(&mut self, slot: &Arc<Slot>, outcome: Outcome) {
        let known = self.held.get(&slot.key);
        if known.is_some_and(|held| Arc::ptr_eq(&held.slot, slot)) && self.judge(&slot.key, outcome)
        {
            self.replan(Arc::clone(&self.planning.set)).await;
        }
    }

    /// Takes slots back whose ejections end now.
    async fn release(&mut self) {
        let now = millis(self.epoch);
        let due = |(key, held): (&EndpointKey, &Held)| {
            let until = held.record.until_ms()?;
            (until <= now).then(|| key.clone())
        };
        let due: Vec<_> = self.held.iter().filter_map(due).collect();
        for key in due {
            self.judge(&key, Outcome::Ignored);
        }
        self.replan(Arc::clone(&self.planning.set)).await;
    }

    /// When the next ejection ends.
    fn next_release(&self) -> Option<Instant> {
        let until = self.held.values().filter_map(|held| held.record.until_ms());
        let ms = u64::try_from(until.min()?).unwrap_or_default();
        self.epoch.checked_add(Duration::from_millis(ms))
    }

    /// Decides what an outcome means for a slot. Returns whether the plan is old thereby.
    fn judge(&mut self, key: &EndpointKey, outcome: Outcome) -> bool {
        let now = millis(self.epoch);
        let total = self.planning.slots.iter().filter(|p| p.connect).count();
        let ejected = self.held.values().filter(|held| held.record.is_ejected());
        let ejected = ejected.count();
        let Some(held) = self.held.get_mut(key) else {
            return false;
        };
        let others = ejected - usize::from(held.record.is_ejected());
        let change = held.record.take(outcome, now, total, others);
        let troubled = held.record.is_troubled();
        held.slot.troubled.store(troubled, Ordering::Relaxed);
        if change == Ejecting::Ejects {
            let until = held.record.until_ms().unwrap_or(now);
            let ms = until.saturating_sub(now).unsigned_abs();
            self.core.observe(&Event::EndpointEjected {
                service: &self.core.target,
                endpoint: &key.address,
                duration: Duration::from_millis(ms),
            });
        }
        change != Ejecting::Unchanged
    }
}

impl Held {
    /// Tells the slot's task what is planned.
    fn follow(&mut self, planned: &Planned) {
        let orders = Orders::from(planned);
        let before = *self.orders.borrow();
        if orders.generation > before.generation {
            self.record = Record::default();
            self.slot.troubled.store(false, Ordering::Relaxed);
        }
        let orders = Orders {
            generation: orders.generation.max(before.generation),
            ..orders
        };
        if orders != before {
            self.orders.send_replace(orders);
        }
    }

    /// What came of attempts since the last time: of several the last of each kind, in their order.
    fn attempted(&mut self) -> Vec<Outcome> {
        let facts = self.slot.facts();
        let now = facts.attempts;
        let is_connected = facts.open().is_some();
        drop(facts);
        let mut outcomes = Vec::new();
        if now.failed > self.judged.failed {
            outcomes.push(Outcome::Refused);
        }
        if now.opened > self.judged.opened {
            outcomes.push(Outcome::Connected);
        }
        if !is_connected {
            outcomes.reverse();
        }
        self.judged = now;
        outcomes
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn scheme(key: &EndpointKey) -> Scheme {
    match key.protocol {
        Protocol::H2c => Scheme::HTTP,
        Protocol::H2Tls | Protocol::H2MutualTls => Scheme::HTTPS,
    }
}
