//! What a client holds of the registry: the immutable [`View`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff;
use crate::error::{Error, Reason};
use crate::event::ChangeTrace;
use crate::freshness::{Ages, Freshness, Timing};
use crate::instance::{Instance, InstanceKey, ServiceName, ServiceState};
use crate::intent::{self, Facts, Intent};
use crate::kinds::{Position, RemovalReason, SnapshotCause, Timestamp};
use crate::messages;
use crate::selector::{Names, Selector};

/// Removals that a view remembers, so that [`Updates`](crate::Updates) can tell why an instance
/// went. The oldest are forgotten first.
pub(crate) const REMOVALS_KEPT: usize = 1_024;
/// How many traces of changes a view remembers, likewise.
pub(crate) const TRACES_KEPT: usize = 256;

/// Where a view's content came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// From a server, over the stream that is open now or by the lookup that returned it.
    Registry,
    /// From memory: nothing was received since the stream broke, or nothing yet at all.
    Memory,
    /// From [`ClientBuilder::cache_dir`](crate::ClientBuilder::cache_dir), where this process or one
    /// before it left it; nothing was received yet.
    Disk,
    /// It was given to the client, by [`Client::fixed`](crate::Client::fixed) or
    /// [`ClientBuilder::overrides`](crate::ClientBuilder::overrides).
    Static,
}

impl Source {
    /// The name that both clients print.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Registry => "REGISTRY",
            Source::Memory => "MEMORY",
            Source::Disk => "DISK",
            Source::Static => "STATIC",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The clock that ages are measured with, monotonic milliseconds since the client was built, and
/// what ages mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    ages: Ages,
}

impl Clock {
    pub(crate) fn start(ages: Ages) -> Clock {
        Clock {
            start: Instant::now(),
            ages,
        }
    }

    pub(crate) fn now_ms(self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A removal that a view saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) key: InstanceKey,
    pub(crate) reason: RemovalReason,
    pub(crate) at: Position,
}

/// Flags of the server that made the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    pub(crate) recovering: bool,
    pub(crate) isolated: bool,
}

/// The registry as one selector sees it, at exactly one revision. Immutable: a change makes a new
/// view, and [`Subscription::changed`](crate::Subscription::changed) tells of it.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) selector: Arc<Selector>,
    pub(crate) clock: Clock,
    /// None until something was received.
    pub(crate) timing: Option<Timing>,
    pub(crate) position: Position,
    pub(crate) view_id: u64,
    pub(crate) digest: u64,
    pub(crate) count: u64,
    pub(crate) instances: Arc<[Arc<Instance>]>,
    pub(crate) services: Arc<[Arc<ServiceState>]>,
    pub(crate) forbidden: Arc<[ServiceName]>,
    pub(crate) removals: Arc<[Removed]>,
    /// Traces of changes, each with the epoch of its revision.
    pub(crate) traces: Arc<[(u64, ChangeTrace)]>,
    pub(crate) flags: Flags,
    /// Accepted although its digest did not match.
    pub(crate) unverified: bool,
    /// A later update did not match; this is the last one that did.
    pub(crate) distrusted: bool,
    pub(crate) source: Source,
    /// Rises with each view of a subscription.
    pub(crate) sequence: u64,
    /// Snapshots taken over so far by the subscription.
    pub(crate) snapshots: u64,
    pub(crate) last_cause: SnapshotCause,
}

impl View {
    /// The view before anything was received.
    pub(crate) fn empty(selector: Arc<Selector>, clock: Clock) -> View {
        View {
            selector,
            clock,
            timing: None,
            position: Position::default(),
            view_id: 0,
            digest: 0,
            count: 0,
            instances: Arc::new([]),
            services: Arc::new([]),
            forbidden: Arc::new([]),
            removals: Arc::new([]),
            traces: Arc::new([]),
            flags: Flags::default(),
            unverified: false,
            distrusted: false,
            source: Source::Memory,
            sequence: 0,
            snapshots: 0,
            last_cause: SnapshotCause::First,
        }
    }

    /// The instances, sorted by namespace, service and id as bytes.
    #[must_use]
    pub fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }

    /// The instances of one service, sorted by id.
    #[must_use]
    pub fn instances_of(&self, service: &ServiceName) -> &[Arc<Instance>] {
        let name = |i: &Arc<Instance>| {
            (i.key.namespace.as_str(), i.key.service.as_str())
                .cmp(&(service.namespace.as_str(), service.service.as_str()))
        };
        let start = self.instances.partition_point(|i| name(i).is_lt());
        let end = self.instances.partition_point(|i| name(i).is_le());
        &self.instances[start..end]
    }

    /// The instance of this key.
    #[must_use]
    pub fn instance(&self, key: &InstanceKey) -> Option<&Arc<Instance>> {
        let at = self.instances.binary_search_by(|i| i.key.cmp(key)).ok()?;
        self.instances.get(at)
    }

    /// What the registry remembers of the services, sorted by name.
    #[must_use]
    pub fn services(&self) -> &[Arc<ServiceState>] {
        &self.services
    }

    /// What the registry remembers of one service; none if it was never registered.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&Arc<ServiceState>> {
        let at = self.services.binary_search_by(|s| s.name.cmp(name)).ok()?;
        self.services.get(at)
    }

    /// Services of the selector that this client may not see.
    #[must_use]
    pub fn forbidden(&self) -> &[ServiceName] {
        &self.forbidden
    }

    /// The selector that the view is of.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Where in the registry's history the view is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The digest that verified the view.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How old the view's data is. Grows with time; an old set is still served.
    #[must_use]
    pub fn age(&self) -> Duration {
        let ms = self.age_ms().unwrap_or(0);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    pub(crate) fn age_ms(&self) -> Option<i64> {
        let age = self.timing?.age_ms(self.clock.now_ms());
        Some(if self.source == Source::Static {
            0
        } else {
            age
        })
    }

    /// How far the view can be trusted to be current, now.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.judge()
            .map_or(Freshness::Expired, |(_, freshness, _)| freshness)
    }

    /// The age, the freshness, and the age at which that ends; none before the first view.
    fn judge(&self) -> Option<(i64, Freshness, Option<i64>)> {
        let age = self.age_ms()?;
        let doubtful = self.distrusted || self.unverified;
        let (freshness, ends) = Freshness::judge(age, self.clock.ages, doubtful);
        Some((age, freshness, ends))
    }

    /// How long until the freshness changes by age alone; none if it never does.
    pub(crate) fn freshness_ends(&self) -> Option<Duration> {
        if self.source == Source::Static {
            return None;
        }
        let (age, _, ends) = self.judge()?;
        Some(backoff::duration(ends? - age))
    }

    /// The history that the view is of.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.position.epoch
    }

    /// Where in its history the view is.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.position.revision
    }

    /// The traces of changes that came after a position.
    pub(crate) fn traces_after(&self, at: Position) -> Vec<ChangeTrace> {
        let ours = self.traces.iter().filter(|(epoch, t)| {
            *epoch == self.position.epoch && (*epoch != at.epoch || t.revision > at.revision)
        });
        ours.map(|(_, t)| t.clone()).collect()
    }

    /// Where the content came from.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether anything was received at all. Until then the view is empty.
    #[must_use]
    pub fn is_received(&self) -> bool {
        self.timing.is_some()
    }

    /// Whether the view was accepted although its digest did not match, because three snapshots in
    /// a row did not. The client goes on trying for one that does.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        self.unverified
    }

    /// Whether the registry lost history and instances are still coming back. Entries of the lost
    /// history are marked [`Instance::unconfirmed`].
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        self.flags.recovering
    }

    /// Whether the server that the view came from could not reach its store.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.flags.isolated
    }

    /// Why one service shows no instances, or that it has some.
    #[must_use]
    pub fn intent_of(&self, service: &ServiceName) -> Intent {
        if !self.is_received() {
            return Intent::NotYet;
        }
        intent::of_service(Facts {
            forbidden: self.forbidden.contains(service),
            present: !self.instances_of(service).is_empty(),
            recovering: self.flags.recovering,
            state: self.service(service).map(Arc::as_ref),
            filtered: self.selector.is_filtered(),
            last_removal: self.last_removal(service).map(|r| r.reason),
        })
    }

    /// The intent over all services of the selector: present if any is, otherwise the most hopeful
    /// one (recovering, held, filtered to none, expired, deregistered, forbidden, never seen).
    #[must_use]
    pub fn intent(&self) -> Intent {
        if !self.is_received() {
            return Intent::NotYet;
        }
        if !self.instances.is_empty() {
            return Intent::Present;
        }
        match self.selector.names() {
            Names::Services(names) => intent::overall(names.iter().map(|n| self.intent_of(n))),
            Names::Prefix { .. } if self.flags.recovering => Intent::Recovering,
            Names::Prefix { .. } => {
                let states = self.services.iter().map(|s| self.intent_of(&s.name));
                let forbidden = self.forbidden.iter().map(|n| self.intent_of(n));
                intent::overall(states.chain(forbidden))
            }
        }
    }

    /// Why a call to this service would fail: `NO_VIEW`, `SERVICE_UNKNOWN`, `FORBIDDEN` or
    /// `NO_INSTANCES`, with a text that says how it came to that. None if it has instances.
    #[must_use]
    pub fn why(&self, service: &ServiceName) -> Option<Error> {
        let error = self.missing(service)?;
        Some(error.about("pick", service.to_string()))
    }

    fn missing(&self, service: &ServiceName) -> Option<Error> {
        let name = service.to_string();
        let no = |why: &str| Error::new(Reason::NoInstances, messages::no_instances(&name, why));
        let Position { epoch, revision } = self.position;
        Some(match self.intent_of(service) {
            Intent::Present => return None,
            Intent::NotYet => Error::new(Reason::NoView, messages::no_view_yet(&name)),
            Intent::Forbidden => Error::new(Reason::Forbidden, messages::service_forbidden(&name)),
            Intent::NeverSeen if self.source == Source::Static => {
                Error::new(Reason::ServiceUnknown, messages::not_given(&name))
            }
            Intent::NeverSeen => Error::new(
                Reason::ServiceUnknown,
                messages::service_unknown(&name, epoch, revision, &[]),
            ),
            Intent::AllDeregistered => self.last_one_went(service, "deregistered"),
            Intent::AllExpired => self.last_one_went(service, "expired"),
            Intent::FilteredToNone => no("none of them passes the selector's filter"),
            Intent::Held => no("the registry holds back the expiry of instances that are overdue"),
            Intent::Recovering => no("the registry lost history and its instances are coming back"),
        })
    }

    fn last_one_went(&self, service: &ServiceName, how: &str) -> Error {
        let name = service.to_string();
        let emptied = self.service(service).and_then(|s| s.emptied.as_ref());
        let text = match (emptied, self.last_removal(service)) {
            (Some(e), _) => messages::last_one_went(
                &name,
                how,
                e.time.and_then(ago),
                &e.instance_id,
                e.revision,
            ),
            (None, Some(r)) => {
                messages::last_one_went(&name, how, None, &r.key.instance_id, r.at.revision)
            }
            (None, None) => messages::no_instances(&name, "the last one went a moment ago"),
        };
        Error::new(Reason::NoInstances, text)
    }

    /// The last removal of one of the service's instances that the view saw in its epoch.
    fn last_removal(&self, service: &ServiceName) -> Option<&Removed> {
        self.removals.iter().rev().find(|r| {
            r.at.epoch == self.position.epoch
                && r.key.namespace == service.namespace
                && r.key.service == service.service
        })
    }
}

/// How long ago a server's wall clock time is; none if that is in the future.
#[allow(
    clippy::disallowed_types,
    reason = "compares with a wall clock of another machine, in a text for people"
)]
fn ago(time: Timestamp) -> Option<Duration> {
    use std::time::{SystemTime, UNIX_EPOCH};
    let then = UNIX_EPOCH + Duration::from_secs(u64::try_from(time.seconds).ok()?);
    SystemTime::now().duration_since(then).ok()
}
