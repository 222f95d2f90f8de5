//! Registering instances, and the handle of what is registered.

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use muster_proto::v1;
use muster_rules::defaults;
#[cfg(feature = "tonic-0_14-serve")]
use muster_rules::grace::Grace;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

#[cfg(feature = "tonic-0_14-serve")]
use crate::backoff::signed_millis;
use crate::calls::{What, request};
use crate::client::{Shared, gave_up};
use crate::drain::DrainReport;
use crate::error::{Error, Reason};
use crate::event::Event;
use crate::fixed::no_registry;
use crate::instance::{InstanceKey, Locality, duration_to_wire};
use crate::kinds::{Health, Lifecycle, Position};
use crate::messages;
use crate::session::{Lease, Session, is_lost};
use crate::session_state::{Flushed, Withdraw};
use crate::spec::InstanceSpec;
use crate::telemetry::result_of;
use crate::validate;

/// Where a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistrationState {
    /// The registry was asked and has not granted a lease yet.
    Registering,
    /// The lease is confirmed.
    Active,
    /// The last keepalive was not confirmed; the lease may live.
    Unconfirmed,
    /// Another process took the instance over. Final.
    Fenced,
    /// The registry refused to register it again. Final.
    Refused,
    /// Ended by choice, or its lease ended while draining. Final.
    Deregistered,
    /// The client was closed. Final.
    Closed,
}

impl RegistrationState {
    /// Whether the state can never change again.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            RegistrationState::Registering
                | RegistrationState::Active
                | RegistrationState::Unconfirmed
        )
    }

    /// The name that both clients print.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RegistrationState::Registering => "REGISTERING",
            RegistrationState::Active => "ACTIVE",
            RegistrationState::Unconfirmed => "UNCONFIRMED",
            RegistrationState::Fenced => "FENCED",
            RegistrationState::Refused => "REFUSED",
            RegistrationState::Deregistered => "DEREGISTERED",
            RegistrationState::Closed => "CLOSED",
        }
    }
}

impl fmt::Display for RegistrationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a registration at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistrationStatus {
    /// Where it stands.
    pub state: RegistrationState,
    /// Why, for people; empty while everything is well.
    pub reason: String,
    /// The public name of the lease; 0 before the first.
    pub incarnation: u64,
    /// The first four characters of the lease's id, the whole of which is a secret.
    pub lease: String,
    /// What stands in the way, or what made the state final; none if nothing does.
    pub error: Option<Error>,
}

impl RegistrationStatus {
    pub(crate) fn new() -> RegistrationStatus {
        RegistrationStatus {
            state: RegistrationState::Registering,
            reason: String::new(),
            incarnation: 0,
            lease: String::new(),
            error: None,
        }
    }
}

/// A registration to be, from [`Client::register`](crate::Client::register). Await it.
#[must_use = "a registration does nothing until it is awaited"]
pub struct Register {
    shared: Arc<Shared>,
    specs: Vec<InstanceSpec>,
    timeout: Duration,
}

impl Register {
    pub(crate) fn new(shared: Arc<Shared>, specs: Vec<InstanceSpec>) -> Register {
        Register {
            shared,
            specs,
            timeout: defaults::CALL_TIMEOUT,
        }
    }

    /// Bounds the wait for the registry's answer; default 5 s. It never bounds the registration's
    /// life.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(mut self) -> Result<Registration, Error> {
        for spec in &mut self.specs {
            spec.identify(|| self.shared.config.word());
            if spec.locality == Locality::default() {
                spec.locality = self.shared.config.locality.clone();
            }
        }
        validate::specs(&self.specs)?;
        if self.shared.config.fixed.all {
            let first = self.specs.first().map(|s| s.key().to_string());
            return Err(no_registry("register", &first.unwrap_or_default()));
        }
        let telemetry = &self.shared.config.telemetry;
        let session = Arc::new(Session::new(self.specs, telemetry.clone()));
        if !self.shared.adopt(&session) {
            return Err(self.shared.closed_error());
        }
        let withdraw = Withdraw::new(session.clone());
        let settled = timeout_at(Instant::now() + self.timeout, session.settled()).await;
        let status = session.status();
        if settled.is_err() {
            return Err(withdrawn(&session.subject, status.error.as_ref()));
        }
        withdraw.disarm();
        match status.error {
            Some(e) if status.state.is_final() && status.incarnation == 0 => Err(e),
            _ => Ok(Registration {
                status: session.watch_status(),
                session,
                shared: self.shared,
            }),
        }
    }
}

/// The error of a caller whose time ran out: nothing stays registered.
fn withdrawn(subject: &str, last: Option<&Error>) -> Error {
    if let Some(e) = last.and_then(Error::given_up) {
        return e;
    }
    let text = last.map(Error::text);
    let text = messages::withdrawn(subject, text.as_deref());
    Error::new(Reason::Deadline, text).about("register", subject)
}

impl IntoFuture for Register {
    type Output = Result<Registration, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register")
            .field("specs", &self.specs)
            .finish_non_exhaustive()
    }
}

/// A handle of instances that the client keeps registered under one lease.
///
/// The client owns them: dropping the handle changes nothing, and they end by
/// [`Registration::deregister`] or with the client. Setters write what should be and return at
/// once; the client brings the registry there, across lost leases and servers.
#[derive(Clone)]
pub struct Registration {
    shared: Arc<Shared>,
    session: Arc<Session>,
    status: watch::Receiver<RegistrationStatus>,
}

impl Registration {
    /// The instances, with the ids that were drawn for them.
    #[must_use]
    pub fn keys(&self) -> Vec<InstanceKey> {
        self.session.keys()
    }

    /// Where the registration stands now. Does no I/O.
    #[must_use]
    pub fn status(&self) -> RegistrationStatus {
        self.session.status()
    }

    /// Waits for a status that this handle has not been given by `changed` yet. A final status is
    /// returned at once, again and again. Cancel-safe.
    pub async fn changed(&mut self) -> RegistrationStatus {
        if !self.status.borrow().state.is_final() {
            // An error means that the sender is gone, and this handle holds it.
            let _ = self.status.changed().await;
        }
        self.status.borrow_and_update().clone()
    }

    /// Says how well the process does, and why; of all its instances.
    pub fn set_health(&self, health: Health, why: impl Into<String>) {
        let why = why.into();
        self.session.change(|spec| {
            spec.health = health;
            spec.health_reason.clone_from(&why);
        });
    }

    /// Sets the share of new requests; 0 takes none.
    pub fn set_weight(&self, weight: u32) {
        self.session.change(|spec| spec.weight = weight);
    }

    /// Replaces the metadata.
    pub fn set_metadata(&self, metadata: BTreeMap<String, String>) {
        self.session
            .change(|spec| spec.metadata.clone_from(&metadata));
    }

    /// Sets `Starting` or `Serving`. Serving ends a drain. `Draining` is ignored: it is
    /// [`Registration::drain`] that drains.
    pub fn set_lifecycle(&self, lifecycle: Lifecycle) {
        if lifecycle != Lifecycle::Draining {
            self.session.change_lifecycle(lifecycle);
        }
    }

    /// Waits, at most 5 s, until the registry has acknowledged everything that setters said before
    /// the call.
    ///
    /// # Errors
    /// The registry's, if it refused; `DEADLINE`; what ended the registration.
    pub async fn flush(&self) -> Result<(), Error> {
        let version = self.session.version();
        let mut progress = self.session.watch_progress();
        let flushed = async {
            loop {
                progress.borrow_and_update();
                match self.session.flushed(version) {
                    Flushed::Yes => return Ok(()),
                    Flushed::Refused(e) => return Err(e),
                    Flushed::NotYet => {}
                }
                // An error means that the sender is gone, and this handle holds it.
                let _ = progress.changed().await;
            }
        };
        match timeout_at(Instant::now() + defaults::CALL_TIMEOUT, flushed).await {
            Ok(result) => result,
            Err(_) => Err(self.gave_up("flush")),
        }
    }

    /// Sets the instances to DRAINING and waits until every live watcher has confirmed that it no
    /// longer picks them, or until `wait` is over (at most 10 min). A report that is not complete
    /// is no error. Stop after the report, after its `safe_after` and after your own calls in
    /// flight; then deregister.
    ///
    /// A lease that is lost while draining is not registered again: the registration ends as
    /// DEREGISTERED. Dropping the future leaves the instances DRAINING.
    ///
    /// # Errors
    /// `DRAIN_CANCELLED` if [`Registration::set_lifecycle`] said `Serving` meanwhile; those of any
    /// call.
    pub async fn drain(&self, wait: Duration) -> Result<DrainReport, Error> {
        let result = self.run_drain(wait.min(defaults::LONGEST_DRAIN)).await;
        let event = Event::DrainFinished {
            subject: &self.session.subject,
            result: result_of(&result),
            report: result.as_ref().ok(),
        };
        self.shared.config.telemetry.observe(&event);
        result
    }

    async fn run_drain(&self, wait: Duration) -> Result<DrainReport, Error> {
        let began = Instant::now();
        let deadline = began + wait + defaults::CALL_TIMEOUT;
        let lease = match timeout_at(deadline, self.begin_drain()).await {
            Ok(lease) => lease?,
            Err(_) => return Err(self.gave_up("drain")),
        };
        match self.call_drain(&lease, began + wait, deadline).await {
            Ok(response) => {
                self.shared
                    .wrote(Position::new(response.epoch, response.revision));
                let report = DrainReport::from_wire(response, began.elapsed());
                tracing::info!(registration = %self.session.subject, "{report}");
                Ok(report)
            }
            Err(e) => {
                self.drain_failed(&lease, &e);
                Err(e)
            }
        }
    }

    async fn begin_drain(&self) -> Result<Lease, Error> {
        let mut progress = self.session.watch_progress();
        loop {
            progress.borrow_and_update();
            if let Some(lease) = self.session.begin_drain()? {
                return Ok(lease);
            }
            // An error means that the sender is gone, and this handle holds it.
            let _ = progress.changed().await;
        }
    }

    async fn call_drain(
        &self,
        lease: &Lease,
        until: Instant,
        deadline: Instant,
    ) -> Result<v1::DrainResponse, Error> {
        let what = What {
            op: "drain",
            subject: &self.session.subject,
            headers: &self.shared.config.telemetry.headers(),
            brief: false,
        };
        let call = self.shared.call(what, deadline, |lane, deadline| {
            // What is left of the wait: a repeated call waits for the same revision.
            let left = until.saturating_duration_since(Instant::now());
            let message = v1::DrainRequest {
                lease_id: lease.id.clone(),
                instances: Vec::new(),
                timeout: Some(duration_to_wire(left.max(Duration::from_millis(1)))),
            };
            async move {
                let mut stub = lane.connection.registrations();
                stub.drain(request(message, deadline)).await
            }
        });
        call.await
    }

    /// Undoes the mark, or ends the session if the lease is gone.
    fn drain_failed(&self, lease: &Lease, e: &Error) {
        if is_lost(e) {
            let confirmed = self.shared.keeper.remove(&lease.id);
            self.session
                .lease_lost(&lease.id, e.clone(), confirmed, false);
        } else if e.reason() == Reason::DrainCancelled {
            self.session.drain_cancelled();
        }
    }

    /// Ends the registration by choice: watchers see DEREGISTERED. Waits at most 5 s; the client
    /// goes on trying until the lease would have expired, also if this is dropped. Repeating it is
    /// no error.
    ///
    /// # Errors
    /// Why it could not be deregistered: it expires by its TTL then. `DEADLINE` while the client is
    /// still trying.
    pub async fn deregister(&self) -> Result<(), Error> {
        self.deregister_within(defaults::CALL_TIMEOUT).await
    }

    pub(crate) async fn deregister_within(&self, wait: Duration) -> Result<(), Error> {
        let headers = self.shared.config.telemetry.headers();
        self.session
            .end_with(RegistrationState::Deregistered, headers);
        let done = timeout_at(Instant::now() + wait, self.session.done()).await;
        if done.is_err() {
            return Err(self.gave_up("deregister"));
        }
        match self.status() {
            RegistrationStatus {
                state: RegistrationState::Deregistered,
                error: Some(e),
                ..
                // A lease that was lost is what was asked for.
            } if !is_lost(&e) => Err(e),
            _ => Ok(()),
        }
    }

    /// How its process is to divide the time between being told to stop and being killed.
    #[cfg(feature = "tonic-0_14-serve")]
    pub(crate) fn grace(&self) -> Grace {
        Grace::of(signed_millis(self.shared.config.grace_period))
    }

    fn gave_up(&self, op: &str) -> Error {
        gave_up(op, &self.session.subject, self.status().error.as_ref())
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("subject", &self.session.subject)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
