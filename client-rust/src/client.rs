//! The client: what everything else hangs on, and how it ends.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
#[cfg(feature = "tonic-0_14")]
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_rules::defaults;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answers::Answers;
use crate::backoff::{self, Backoff};
use crate::cache::DiskCache;
use crate::config::{self, ClientBuilder, Config};
use crate::error::{Error, Reason};
use crate::instance::Locality;
use crate::keeper::Keeper;
use crate::kinds::Position;
use crate::lookup::Lookup;
use crate::messages;
use crate::registration::Register;
use crate::retry::RetryBudget;
use crate::selector::Selector;
use crate::servers::Servers;
use crate::session::{Session, State};
use crate::spec::InstanceSpec;
use crate::stats::{Stats, StatsReader};
use crate::subscription::Subscription;
use crate::view::Clock;
use crate::watcher::Watcher;

/// A client of a registry, and the owner of everything that was registered or subscribed to through
/// it. Cloning is cheap and gives another handle of the same client.
///
/// It ends with [`Client::close`]. When the last clone is dropped without it, the client tries for
/// one second to deregister, if the runtime still lives; what it cannot reach expires by its TTL.
/// Handles of registrations and subscriptions do not keep it alive.
#[derive(Clone)]
pub struct Client {
    handle: Arc<LastHandle>,
}

/// Dropped with the last clone of a client.
struct LastHandle(Arc<Shared>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        self.0.begin_close(config::DROP_TIMEOUT);
    }
}

/// What a client's tasks and handles share.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) servers: Servers,
    pub(crate) keeper: Keeper,
    pub(crate) watcher: Watcher,
    pub(crate) answers: Answers,
    pub(crate) budget: RetryBudget,
    /// None without a directory for it.
    pub(crate) cache: Option<DiskCache>,
    pub(crate) clock: Clock,
    /// Spreads clients over subsets of instances.
    pub(crate) id: u64,
    /// Cancelled when closing has taken back what it could: every task ends then.
    pub(crate) ended: CancellationToken,
    tasks: TaskTracker,
    runtime: Handle,
    /// True once closing is over.
    closed: watch::Sender<bool>,
    next_session: AtomicU64,
    inner: Mutex<Inner>,
    /// The channels that are open.
    #[cfg(feature = "tonic-0_14")]
    channels: Mutex<Vec<Weak<dyn Explain>>>,
}

/// Something that picks instances and can tell how.
#[cfg(feature = "tonic-0_14")]
pub(crate) trait Explain: Send + Sync {
    /// Lines for people; none once it is closed.
    fn explain(&self) -> Option<String>;
}

#[derive(Default)]
struct Inner {
    closing: bool,
    sessions: HashMap<u64, Arc<Session>>,
    /// Where the last own write became visible.
    written: Position,
}

/// What a client knows of its registry.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientStatus {
    /// The server in use, or to be tried next.
    pub server: String,
    /// The cluster of the registry; empty before the first answer.
    pub cluster_id: String,
    /// The present outage, as `NO_SERVER`; none if there is none.
    pub error: Option<Error>,
    /// Registrations that are alive.
    pub registrations: usize,
    /// Subscriptions that are open, counted by distinct selector.
    pub subscriptions: usize,
    /// Where the last own write became visible.
    pub written: Position,
}

impl Client {
    /// Begins a client of the registry whose servers are given as `host:port`, or `host:port@zone` if
    /// they run in several zones. Those of the client's own zone are tried first, each client
    /// beginning at a random one of them; it stays with a server that serves.
    pub fn builder<S: Into<String>>(servers: impl IntoIterator<Item = S>) -> ClientBuilder {
        ClientBuilder::new(servers.into_iter().map(Into::into).collect())
    }

    /// Begins a client without a registry: the instances are given and do not change. Its views are
    /// always `FRESH` and of source `STATIC`; a service that was not given is `SERVICE_UNKNOWN`.
    /// Filters of selectors mean nothing to it, and registering is refused.
    pub fn fixed(instances: impl IntoIterator<Item = InstanceSpec>) -> ClientBuilder {
        ClientBuilder::new(Vec::new())
            .overrides(instances)
            .without_registry()
    }

    /// Begins a client by the environment variables of docs/client-spec.md section 10:
    /// `MUSTER_SERVERS`, `MUSTER_NAME`, `MUSTER_TTL`, `MUSTER_TLS_CA`, `MUSTER_TLS_CERT`,
    /// `MUSTER_TLS_KEY`, `MUSTER_TLS_SERVER_NAME`, `MUSTER_TOKEN_FILE`, `MUSTER_CACHE_DIR`,
    /// `MUSTER_REGION`, `MUSTER_ZONE` and `MUSTER_OVERRIDE`. What is set on the builder goes before
    /// them. Variables that are set and mean nothing are logged.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, which names the variable; `FEATURE_NOT_SERVED` for one that this build
    /// does not serve.
    pub fn from_environment() -> Result<ClientBuilder, Error> {
        crate::environment::builder()
    }

    pub(crate) fn start(config: Config, cache: Option<DiskCache>, runtime: Handle) -> Client {
        let config = Arc::new(config);
        let shared = Arc::new(Shared {
            servers: Servers::new(config.clone()),
            keeper: Keeper::default(),
            watcher: Watcher::default(),
            answers: Answers::default(),
            budget: RetryBudget::new(),
            cache,
            clock: Clock::start(config.ages),
            id: config.word(),
            ended: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runtime,
            closed: watch::Sender::new(false),
            next_session: AtomicU64::new(1),
            inner: Mutex::default(),
            #[cfg(feature = "tonic-0_14")]
            channels: Mutex::default(),
            config,
        });
        Client {
            handle: Arc::new(LastHandle(shared)),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }

    /// Where this process runs, for crates that extend this one.
    #[must_use]
    pub fn locality(&self) -> &Locality {
        &self.shared().config.locality
    }

    /// A random number that tells this client from others, for crates that extend this one.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared().id
    }

    /// Waits until a server of the list answers, at most 5 s.
    ///
    /// # Errors
    /// `NO_SERVER`, with every server that was tried and why it did not serve; `CLOSED`.
    pub async fn ready(&self) -> Result<(), Error> {
        let shared = self.shared();
        if shared.config.fixed.all {
            return Ok(());
        }
        let deadline = Instant::now() + defaults::CALL_TIMEOUT;
        let mut retries = Backoff::default();
        let mut last = None;
        let attempts = async {
            loop {
                match shared.servers.acquire(None).await {
                    Ok(_) => return,
                    Err(e) => last = Some(e),
                }
                let wait = retries.next(backoff::CAP, shared.config.word());
                tokio::time::sleep(wait).await;
            }
        };
        let result = tokio::select! {
            () = shared.ended.cancelled() => return Err(shared.closed_error()),
            result = timeout_at(deadline, attempts) => result,
        };
        result.map_err(|_| gave_up("ready", "", last.as_ref()))
    }

    /// What the client knows now. Does no I/O.
    #[must_use]
    pub fn status(&self) -> ClientStatus {
        let shared = self.shared();
        let (server, error) = shared.servers.status();
        let subscriptions = shared.watcher.count();
        let inner = shared.lock();
        ClientStatus {
            server,
            cluster_id: shared.servers.cluster_id(),
            error,
            registrations: inner.sessions.len(),
            subscriptions,
            written: inner.written,
        }
    }

    /// What the client counted so far. Does no I/O.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Reads [`Client::stats`] without keeping the client open, for whatever outlives it.
    #[must_use]
    pub fn stats_reader(&self) -> StatsReader {
        StatsReader::new(self.shared())
    }

    /// Registers instances, all or nothing, and keeps them registered. Await it; it does nothing
    /// before. Giving up on it, by its deadline of 5 s or by dropping it, never leaves anything
    /// registered; once it succeeded, the registration lives until it is ended, and dropping the
    /// handle changes nothing.
    pub fn register(&self, specs: impl IntoIterator<Item = InstanceSpec>) -> Register {
        Register::new(self.shared().clone(), specs.into_iter().collect())
    }

    /// Reads what a selector matches, once. Await it; it does nothing before.
    pub fn lookup(&self, selector: Selector) -> Lookup {
        Lookup::new(self.shared().clone(), selector)
    }

    /// Begins to watch what a selector matches. Returns at once; the view before the first is that of
    /// the [cache](ClientBuilder::cache_dir), which is a file to be read, or else empty. Equal
    /// selectors share one watch.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the selector is wrong; `CLOSED`.
    pub fn subscribe(&self, selector: Selector) -> Result<Subscription, Error> {
        Subscription::open(self.shared(), selector)
    }

    /// Deregisters everything, ends all streams, closes all subscriptions and joins all tasks. It
    /// takes at most 5 s: what cannot be deregistered by then expires by its TTL. Calling it again
    /// waits for the first call; dropping it does not stop it. Afterwards everything returns
    /// `CLOSED`.
    pub async fn close(&self) {
        let mut closed = self.shared().closed.subscribe();
        self.shared().begin_close(defaults::CLOSE_TIMEOUT);
        // An error means that the sender is gone, and this handle holds it.
        let _ = closed.wait_for(|closed| *closed).await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("servers", &self.shared().config.servers)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.config.telemetry.counters.read();
        let watched = self.watcher.wanted();
        stats.subscriptions = watched.len();
        let ages = watched.iter().map(|w| w.view().age());
        stats.oldest_view = ages.max().unwrap_or_default();
        stats.registrations = self.lock().sessions.len();
        stats
    }

    /// The registrations that are alive.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.lock().sessions.values().cloned().collect()
    }

    /// Remembers a channel for as long as it is there.
    #[cfg(feature = "tonic-0_14")]
    pub(crate) fn opened(&self, channel: Weak<dyn Explain>) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|c| c.strong_count() > 0);
        channels.push(channel);
    }

    /// What the open channels tell of themselves.
    #[cfg(feature = "tonic-0_14")]
    pub(crate) fn explained(&self) -> Vec<String> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channels: Vec<_> = channels.iter().filter_map(Weak::upgrade).collect();
        channels.iter().filter_map(|c| c.explain()).collect()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    pub(crate) fn closed_error(&self) -> Error {
        Error::closed("client")
    }

    /// Runs a task that closing joins; false if closing has begun. The task is dropped at its next
    /// await once closing has done what it could.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let inner = self.lock();
        if inner.closing {
            return false;
        }
        let task = self.ended.clone().run_until_cancelled_owned(task);
        self.tasks.spawn_on(
            async move {
                task.await;
            },
            &self.runtime,
        );
        true
    }

    /// Lists a session, so that closing ends it, and starts its driver; false if closing has begun.
    pub(crate) fn adopt(self: &Arc<Self>, session: &Arc<Session>) -> bool {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        {
            let mut inner = self.lock();
            if inner.closing {
                return false;
            }
            inner.sessions.insert(id, session.clone());
        }
        let forget = Forget {
            shared: self.clone(),
            session: session.clone(),
            id,
        };
        let driver = session.clone().run(self.clone());
        self.spawn(async move {
            let _forget = forget;
            driver.await;
        })
    }

    /// Remembers where an own write became visible, for later lookups.
    pub(crate) fn wrote(&self, at: Position) {
        let mut inner = self.lock();
        inner.written = inner.written.max(at);
    }

    pub(crate) fn last_write(&self) -> Position {
        self.lock().written
    }

    /// For a registry that changed its history.
    pub(crate) fn forget_writes(&self, before: Position) {
        let mut inner = self.lock();
        if inner.written == before {
            inner.written = Position::default();
        }
    }

    /// Starts closing, unless it has begun. Needs no runtime of the caller.
    fn begin_close(self: &Arc<Self>, within: Duration) {
        let sessions: Vec<Arc<Session>> = {
            let mut inner = self.lock();
            if inner.closing {
                return;
            }
            inner.closing = true;
            inner.sessions.values().cloned().collect()
        };
        let shared = self.clone();
        self.runtime.spawn(shared.finish_close(sessions, within));
    }

    async fn finish_close(self: Arc<Self>, sessions: Vec<Arc<Session>>, within: Duration) {
        let deadline = Instant::now() + within;
        self.watcher.close();
        let orderly = async {
            for s in &sessions {
                s.end(State::Closed);
            }
            for s in &sessions {
                s.done().await;
            }
            self.keeper.close();
            if let Some(cache) = &self.cache {
                cache.close();
            }
            self.tasks.close();
            self.tasks.wait().await;
        };
        if timeout_at(deadline, orderly).await.is_err() {
            tracing::warn!("closed before everything could be deregistered; it expires by its TTL");
        }
        self.ended.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.servers.close();
        self.closed.send_replace(true);
    }
}

/// Takes a session off the list when its driver ends, however it ends.
struct Forget {
    shared: Arc<Shared>,
    session: Arc<Session>,
    id: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.session.abandon();
        self.shared.lock().sessions.remove(&self.id);
    }
}

/// The error of a call whose next attempt could begin only after its deadline.
pub(crate) fn too_late(op: &str, subject: &str, last: &Error) -> Error {
    last.given_up().unwrap_or_else(|| {
        let text = messages::too_late(op, subject, &last.text());
        Error::new(Reason::Deadline, text).caused_by(last.clone())
    })
}

/// The error of a call whose time ran out between attempts.
pub(crate) fn gave_up(op: &str, subject: &str, last: Option<&Error>) -> Error {
    if let Some(e) = last.and_then(Error::given_up) {
        return e;
    }
    let text = last.map(Error::text);
    let e = Error::new(
        Reason::Deadline,
        messages::gave_up(op, subject, text.as_deref()),
    )
    .about(op, subject);
    match last {
        Some(last) => e.caused_by(last.clone()),
        None => e,
    }
}
