//! One endpoint of the table: what is known of it, and the task that keeps it connected.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_rules::connection::{Action, Connection, Event, Phase, connect};
use muster_rules::usable::Reach;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

use super::conn::{self, Conn, Driver, Origin};
use super::endpoint::EndpointKey;
use super::lane::Lane;
use super::planning::Planned;

/// What its owner wants of an endpoint's task. Dropping the sender removes the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) wanted: bool,
    pub(crate) generation: u64,
}

impl From<&Planned> for Orders {
    fn from(planned: &Planned) -> Self {
        Self {
            wanted: planned.connect,
            generation: planned.generation,
        }
    }
}

/// An endpoint, as its task and the table's owner see it.
pub(crate) struct Slot {
    pub(crate) key: EndpointKey,
    pub(crate) in_flight: Arc<AtomicU64>,
    /// Whether the owner remembers anything against it, so that successes matter.
    pub(crate) troubled: AtomicBool,
    facts: Mutex<Facts>,
}

/// What changes about a slot.
pub(crate) struct Facts {
    pub(crate) weight: u64,
    pub(crate) phase: Phase,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// When the last attempt failed, in milliseconds of the channel.
    pub(crate) failed_ms: i64,
    /// How many attempts failed, and how many connections were opened, ever.
    pub(crate) attempts: Attempts,
    /// Why it is not connected, or was not the last time.
    pub(crate) error: Option<Arc<str>>,
    conn: Option<Arc<Conn>>,
}

/// What came of attempts to connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) failed: u64,
    pub(crate) opened: u64,
}

impl Facts {
    /// What the connection can do for requests. One that is ready but not open was lost a moment
    /// ago: its task is about to decide.
    pub(crate) fn reach(&self) -> Reach {
        if self.open().is_some() {
            return Reach::Ready;
        }
        match self.phase {
            Phase::Backoff => Reach::Away,
            Phase::Idle | Phase::Connecting | Phase::Ready => Reach::Coming,
        }
    }

    /// The connection, if it takes requests.
    pub(crate) fn open(&self) -> Option<&Arc<Conn>> {
        self.conn.as_ref().filter(|conn| conn.lane.gate.is_open())
    }
}

impl Slot {
    pub(crate) fn new(planned: &Planned) -> Self {
        Self {
            key: planned.key.clone(),
            in_flight: Arc::default(),
            troubled: AtomicBool::new(false),
            facts: Mutex::new(Facts {
                weight: planned.weight,
                phase: Phase::Idle,
                failures: 0,
                failed_ms: 0,
                attempts: Attempts::default(),
                error: None,
                conn: None,
            }),
        }
    }

    /// Requests whose responses have not ended yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Never held across an await, nor while another lock is taken.
    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what is planned. Returns the lane if it was shut thereby.
    pub(crate) fn update(&self, planned: &Planned) -> Option<Arc<Lane>> {
        let mut facts = self.facts();
        facts.weight = planned.weight;
        let lane = Arc::clone(&facts.conn.as_ref()?.lane);
        drop(facts);
        if planned.connect {
            lane.gate.resume();
            return None;
        }
        lane.pause();
        Some(lane)
    }

    /// Why it is not connected, or was not the last time.
    pub(crate) fn cause(&self) -> String {
        let facts = self.facts();
        facts.error.as_deref().unwrap_or("not tried yet").to_owned()
    }

    /// Lets nobody choose this slot any more. Returns the lane if it was shut thereby.
    pub(crate) fn remove(&self) -> Option<Arc<Lane>> {
        let conn = self.facts().conn.take()?;
        conn.lane.retire();
        Some(Arc::clone(&conn.lane))
    }
}

type Attempt = Pin<Box<dyn Future<Output = Result<(Conn, Driver), String>> + Send>>;

/// What the present phase waits for, besides the connection's end.
enum Pending {
    Nothing,
    Attempt(Attempt),
    Delay(Pin<Box<Sleep>>),
}

/// What a wait ended with.
enum Happened {
    Orders,
    Lost,
    Opened(Box<(Conn, Driver)>),
    Failed(String),
    Elapsed,
}

impl Pending {
    async fn wait(&mut self) -> Happened {
        let happened = match self {
            Self::Nothing => std::future::pending().await,
            Self::Attempt(attempt) => match attempt.await {
                Ok(opened) => Happened::Opened(Box::new(opened)),
                Err(cause) => Happened::Failed(cause),
            },
            Self::Delay(sleep) => {
                sleep.await;
                Happened::Elapsed
            }
        };
        *self = Self::Nothing;
        happened
    }
}

/// The task of one slot. It owns the drivers of the slot's connections, also of those that only
/// finish their last streams.
pub(crate) struct Task {
    slot: Arc<Slot>,
    origin: Origin,
    /// Tells the table's owner that its table is old.
    dirty: Arc<Notify>,
    connect_timeout: Duration,
    state: Connection,
    /// The time from which the channel's milliseconds count.
    epoch: Instant,
    generation: u64,
    pending: Pending,
    /// The lane in use.
    lane: Option<Arc<Lane>>,
    drivers: JoinSet<()>,
}

impl Task {
    pub(crate) fn new(
        slot: Arc<Slot>,
        origin: Origin,
        dirty: Arc<Notify>,
        connect_timeout: Duration,
        epoch: Instant,
    ) -> Self {
        Self {
            slot,
            origin,
            dirty,
            connect_timeout,
            state: Connection::default(),
            epoch,
            generation: 0,
            pending: Pending::Nothing,
            lane: None,
            drivers: JoinSet::new(),
        }
    }

    /// Keeps the slot as ordered until it is removed, then until its last stream has ended.
    pub(crate) async fn run(mut self, mut orders: watch::Receiver<Orders>) {
        self.generation = orders.borrow().generation;
        self.ordered(*orders.borrow_and_update());
        while let Some(happened) = self.wait(&mut orders).await {
            match happened {
                Happened::Orders => self.ordered(*orders.borrow_and_update()),
                Happened::Lost => self.lost(),
                Happened::Opened(opened) => self.opened(*opened),
                Happened::Failed(cause) => self.failed(cause),
                Happened::Elapsed => self.step(Event::Elapsed),
            }
        }
        self.pending = Pending::Nothing;
        // A connection that was opened while the slot was being removed.
        self.slot.remove();
        while self.drivers.join_next().await.is_some() {}
    }

    /// `None`: the slot was removed.
    async fn wait(&mut self, orders: &mut watch::Receiver<Orders>) -> Option<Happened> {
        loop {
            let lane = self.lane.as_ref();
            tokio::select! {
                // Orders first, so that a removed endpoint is not dialled again; then the end of
                // the connection, so that it is noted before anything that follows it.
                biased;
                changed = orders.changed() => return changed.is_ok().then_some(Happened::Orders),
                () = async {
                    match lane {
                        Some(lane) => lane.gone().await,
                        None => std::future::pending().await,
                    }
                } => return Some(Happened::Lost),
                happened = self.pending.wait() => return Some(happened),
                Some(_) = self.drivers.join_next() => {}
            }
        }
    }

    fn ordered(&mut self, orders: Orders) {
        if orders.wanted != self.state.wanted {
            self.step(if orders.wanted {
                Event::Wanted
            } else {
                Event::Unwanted
            });
        }
        if orders.generation > self.generation {
            self.generation = orders.generation;
            self.step(Event::Renewed);
        }
    }

    fn failed(&mut self, cause: String) {
        let mut facts = self.slot.facts();
        facts.error = Some(cause.into());
        facts.failed_ms = millis(self.epoch);
        facts.attempts.failed += 1;
        drop(facts);
        self.step(Event::Failed);
    }

    fn opened(&mut self, (conn, driver): (Conn, Driver)) {
        self.drivers.spawn(driver);
        self.lane = Some(Arc::clone(&conn.lane));
        let mut facts = self.slot.facts();
        facts.conn = Some(Arc::new(conn));
        facts.attempts.opened += 1;
        drop(facts);
        self.step(Event::Opened);
    }

    fn lost(&mut self) {
        let cause = self.lane.take().and_then(|lane| lane.wire.cause());
        let cause = cause.unwrap_or_else(|| "the peer is leaving".to_owned());
        let mut facts = self.slot.facts();
        facts.conn = None;
        facts.error = Some(format!("connection lost: {cause}").into());
        facts.failed_ms = millis(self.epoch);
        drop(facts);
        self.step(Event::Lost);
    }

    /// Decides what follows on an event, does it, and lets the table's owner know.
    fn step(&mut self, event: Event) {
        let action;
        (self.state, action) = connect(self.state, event, millis(self.epoch), fastrand::u64(..));
        match action {
            Action::None => {}
            Action::Abandon => self.pending = Pending::Nothing,
            Action::Dial => {
                let attempt = conn::open(self.origin.clone(), self.connect_timeout);
                self.pending = Pending::Attempt(Box::pin(attempt));
            }
            Action::Wait(ms) => {
                let sleep = tokio::time::sleep(Duration::from_millis(ms.unsigned_abs()));
                self.pending = Pending::Delay(Box::pin(sleep));
            }
        }
        let mut facts = self.slot.facts();
        facts.phase = self.state.phase;
        facts.failures = self.state.failures;
        drop(facts);
        self.dirty.notify_one();
    }
}

/// The milliseconds since `epoch`.
pub(crate) fn millis(epoch: Instant) -> i64 {
    i64::try_from(epoch.elapsed().as_millis()).unwrap_or(i64::MAX)
}
