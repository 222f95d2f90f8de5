//! Keeps all leases of a client alive, on one stream.
//!
//! One task runs from the first lease on. It opens one stream after the other (`keepalive`) for as
//! long as there are leases; a stream that breaks makes every lease due, so that the next one
//! begins by renewing them all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_rules::defaults;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::{self, Backoff, below, millis};
use crate::client::Shared;
use crate::error::Error;
use crate::event::{Event, StreamKind};
use crate::keepalive::{Ended, KeepaliveStream};
use crate::messages;
use crate::schedule::keepalive_after;
use crate::servers::{Lane, Servers};
use crate::session::{Lease, Session};
use crate::telemetry::result_of;

/// When the next lease is due if there is none.
const NEVER: Duration = Duration::from_secs(3_600);

/// The leases to keep alive. Sessions are told things while it is not locked.
#[derive(Default)]
pub(crate) struct Keeper {
    table: Mutex<Table>,
    /// Leases were added or removed, or it is closing.
    wake: Notify,
    /// Cancelled when it is closing, for what waits longer than a wake.
    closing: CancellationToken,
}

#[derive(Default)]
struct Table {
    started: bool,
    /// By lease id, so that messages name leases in a stable order.
    leases: BTreeMap<String, Kept>,
}

/// One lease and when it must be renewed.
struct Kept {
    lease: Lease,
    session: Arc<Session>,
    /// When the next keepalive goes out; while one is unanswered it is meaningless.
    due: Instant,
    pending: bool,
    /// When the last confirmed keepalive was sent.
    confirmed: Instant,
    /// Answers in a row that did not confirm.
    unconfirmed: u32,
    /// How much too late the keeper ran, at worst, since `confirmed`.
    late: Duration,
    /// When that was.
    late_at: Option<Instant>,
}

/// A lease that a message renews.
#[derive(Clone)]
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) ttl: Duration,
    pub(crate) session: Arc<Session>,
}

impl Shared {
    /// Keeps a lease alive from now on. `sent` is when the granting request was sent.
    pub(crate) fn keep(self: &Arc<Self>, session: &Arc<Session>, lease: Lease, sent: Instant) {
        let start = {
            let mut table = self.keeper.lock();
            let due = sent + keepalive_after(lease.ttl, self.config.word());
            table.leases.insert(
                lease.id.clone(),
                Kept {
                    lease,
                    session: session.clone(),
                    due,
                    pending: false,
                    confirmed: sent,
                    unconfirmed: 0,
                    late: Duration::ZERO,
                    late_at: None,
                },
            );
            !std::mem::replace(&mut table.started, true)
        };
        if start {
            self.spawn(run(self.clone()));
        }
        self.keeper.wake.notify_one();
    }
}

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a lease alive no longer, and tells when it was confirmed last.
    pub(crate) fn remove(&self, id: &str) -> Option<Instant> {
        let kept = self.lock().leases.remove(id);
        self.wake.notify_one();
        kept.map(|k| k.confirmed)
    }

    /// The stream is half-closed, which is an intentional move, and the task ends.
    pub(crate) fn close(&self) {
        self.closing.cancel();
        self.wake.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Whether a stream is not needed any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.closing.is_cancelled() || self.lock().leases.is_empty()
    }

    /// False once the task is to end.
    async fn wait_for_leases(&self) -> bool {
        loop {
            if self.closing.is_cancelled() {
                return false;
            }
            if !self.lock().leases.is_empty() {
                return true;
            }
            self.woken().await;
        }
    }

    /// Tells all sessions that their leases are not being renewed, and makes every lease due.
    fn unconfirmed(&self, error: &Error) {
        let all: Vec<Due> = {
            let now = Instant::now();
            let mut table = self.lock();
            table.leases.values_mut().map(|k| k.make_due(now)).collect()
        };
        let text = messages::broken("keepalive", error);
        tracing::warn!("{text}");
        for due in all {
            due.session
                .lease_unconfirmed(&due.id, &text, Some(error.clone()));
        }
    }

    /// Makes every lease due, for a stream that was left by choice.
    fn all_due(&self) {
        let now = Instant::now();
        for kept in self.lock().leases.values_mut() {
            kept.make_due(now);
        }
    }

    fn shortest_ttl(&self, otherwise: Duration) -> Duration {
        let table = self.lock();
        let ttls = table.leases.values().map(|k| k.lease.ttl);
        ttls.min().unwrap_or(otherwise)
    }

    /// Notes how much later than wanted the keeper runs: a process that stood still notices it
    /// here, whatever it was that woke it.
    pub(crate) fn woke(&self, wanted: Instant) {
        let now = Instant::now();
        let late = now.saturating_duration_since(wanted);
        if late.is_zero() {
            return;
        }
        for kept in self.lock().leases.values_mut() {
            if late > kept.late {
                (kept.late, kept.late_at) = (late, Some(now));
            }
        }
    }

    /// The leases that are due, or will be within a moment, as pending.
    pub(crate) fn take_due(&self, now: Instant) -> Vec<Due> {
        let mut table = self.lock();
        let mut any = false;
        for kept in table.leases.values_mut() {
            any |= !kept.pending && kept.due <= now;
        }
        if !any {
            return Vec::new();
        }
        let soon = now + defaults::KEEPALIVES_TOGETHER;
        let due = table.leases.values_mut();
        due.filter(|k| !k.pending && k.due <= soon)
            .map(|k| {
                k.pending = true;
                k.to_due()
            })
            .collect()
    }

    /// When the next lease is due; without one, far off.
    pub(crate) fn next_due(&self, now: Instant) -> Instant {
        let table = self.lock();
        let waiting = table.leases.values().filter(|k| !k.pending);
        waiting.map(|k| k.due).min().unwrap_or(now + NEVER)
    }

    /// A keepalive of this lease, sent then, was confirmed.
    pub(crate) fn confirm(&self, due: &Due, sent: Instant, word: u64) {
        if let Some(kept) = self.lock().leases.get_mut(&due.id) {
            kept.pending = false;
            kept.unconfirmed = 0;
            if kept.late_at.is_none_or(|at| at <= sent) {
                kept.late = Duration::ZERO; // otherwise the answer is from before
            }
            kept.confirmed = sent;
            kept.due = sent + keepalive_after(kept.lease.ttl, word);
        }
    }

    /// A keepalive was not confirmed and is to be repeated; returns how many in a row were not.
    pub(crate) fn reschedule(&self, due: &Due, at: Instant) -> u32 {
        let mut table = self.lock();
        let Some(kept) = table.leases.get_mut(&due.id) else {
            return 0;
        };
        kept.pending = false;
        kept.due = at;
        kept.unconfirmed += 1;
        kept.unconfirmed
    }

    /// A lease is gone. Tells its session when it was confirmed last, and whether the process did
    /// not run for so long meanwhile that this is why.
    pub(crate) fn lost(&self, due: &Due, error: Error) {
        let Some(kept) = self.lock().leases.remove(&due.id) else {
            return;
        };
        let asleep = kept.late > kept.lease.ttl / 2;
        due.session
            .lease_lost(&due.id, error, Some(kept.confirmed), asleep);
    }
}

impl Kept {
    fn to_due(&self) -> Due {
        Due {
            id: self.lease.id.clone(),
            ttl: self.lease.ttl,
            session: self.session.clone(),
        }
    }

    fn make_due(&mut self, now: Instant) -> Due {
        self.pending = false;
        self.due = now;
        self.to_due()
    }
}

/// Opens one stream after the other for as long as there are leases.
async fn run(shared: Arc<Shared>) {
    let keeper = &shared.keeper;
    let mut retries = Backoff::default();
    let mut choice = ServerChoice::default();
    while keeper.wait_for_leases().await {
        let e = match serve(&shared, &mut choice, &mut retries).await {
            Ok(Ended::Idle) => continue,
            Ok(Ended::Moving) => {
                keeper.all_due();
                continue;
            }
            Err(e) => e,
        };
        keeper.unconfirmed(&e);
        let word = shared.config.word();
        let cap = backoff::lease_cap(keeper.shortest_ttl(shared.config.ttl));
        let first = retries.is_fresh();
        let mut wait = retries.next(cap, word);
        if first {
            wait = first_reconnect(word);
        }
        let wait = wait.max(e.retry_after().unwrap_or_default());
        keeper.closing.run_until_cancelled(sleep(wait)).await;
    }
}

/// Runs one stream to its end.
async fn serve(
    shared: &Arc<Shared>,
    choice: &mut ServerChoice,
    retries: &mut Backoff,
) -> Result<Ended, Error> {
    let closing = &shared.keeper.closing;
    let acquired = closing.run_until_cancelled(choice.acquire(&shared.servers));
    let Some(lane) = acquired.await.transpose()? else {
        return Ok(Ended::Idle);
    };
    let began = Instant::now();
    let telemetry = &shared.config.telemetry;
    telemetry.observe(&Event::StreamOpened {
        stream: StreamKind::Keepalive,
        server: lane.address(),
    });
    let mut stream = KeepaliveStream::open(shared.clone(), lane.clone());
    let result = stream.run(choice).await;
    retries.stream_ended(stream.was_answered(), began.elapsed());
    match &result {
        Ok(_) => stream.half_close().await,
        Err(e) => shared.servers.blame(lane.index(), e),
    }
    telemetry.observe(&Event::StreamEnded {
        stream: StreamKind::Keepalive,
        server: lane.address(),
        result: result_of(&result),
        duration: began.elapsed(),
    });
    result
}

/// How long to wait before the first attempt after a stream broke.
pub(crate) fn first_reconnect(word: u64) -> Duration {
    Duration::from_millis(below(word, millis(defaults::FIRST_RECONNECT) + 1))
}

/// Which server the keeper uses. After two answers in a row without confirmation it tries each
/// other server, each at most once per TTL: more would send a whole fleet around in circles while
/// the store is away.
#[derive(Default)]
pub(crate) struct ServerChoice {
    avoid: Option<usize>,
    tried: HashMap<usize, Instant>,
}

impl ServerChoice {
    async fn acquire(&mut self, servers: &Servers) -> Result<Lane, Error> {
        let lane = servers.acquire(self.avoid.take()).await?;
        self.tried.insert(lane.index(), Instant::now());
        Ok(lane)
    }

    /// Tells whether to leave a server that does not confirm, and if so arranges it.
    pub(crate) fn leave(&mut self, from: &Lane, servers: &Servers, ttl: Duration) -> bool {
        let other = (0..servers.len()).find(|index| {
            *index != from.index()
                && self
                    .tried
                    .get(index)
                    .is_none_or(|last| last.elapsed() >= ttl)
        });
        let Some(other) = other else {
            return false;
        };
        // Also if it turns out not to answer: it is not to be tried again at once.
        self.tried.insert(other, Instant::now());
        servers.failed(from.index());
        self.avoid = Some(from.index());
        true
    }
}
