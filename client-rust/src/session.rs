//! The driver of one registration: the one task that registers, updates and deregisters it.
//!
//! It makes one call at a time, so that two registrations of one session are never in flight. What
//! it is to do next is read from the session's state (`session_state`); everybody else changes
//! that state and wakes the driver.

use std::sync::Arc;
use std::time::Duration;

use muster_proto::v1;
use muster_rules::defaults;
use prost_types::FieldMask;
use tokio::time::{Instant, sleep, timeout_at};

use crate::backoff::Backoff;
use crate::calls::{What, request};
use crate::client::Shared;
use crate::desired;
use crate::error::{Error, Reason};
use crate::instance::{duration_from_wire, duration_to_wire};
use crate::kinds::Position;
use crate::messages;
use crate::observer::Header;
use crate::spec::InstanceSpec;
use crate::status::outcome_unknown;
use crate::telemetry::ObservedCall;

pub(crate) use crate::registration::RegistrationState as State;
pub(crate) use crate::session_state::{Lease, Loss, Session, Step};

/// How often one registration chases newcomers that race with it for the same instance.
const MAX_TAKE_OVERS: usize = 5;

impl Session {
    /// Runs until the registration ended.
    pub(crate) async fn run(self: Arc<Self>, shared: Arc<Shared>) {
        let mut result = self.register(&shared, None).await;
        if result.is_ok() {
            self.settle();
            result = self.reconcile(&shared).await;
        }
        self.finish(&shared, result.err()).await;
    }

    /// Keeps the registration until it ends. The error is what made it final; `Ok` means that
    /// somebody ended it.
    async fn reconcile(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), Error> {
        let mut retries = Backoff::default();
        loop {
            match self.next() {
                Step::End => return Ok(()),
                Step::Lost(loss) => {
                    self.replace_lease(shared, loss).await?;
                    retries.reset();
                }
                Step::Update => match self.update(shared, !retries.is_fresh()).await {
                    Ok(()) => retries.reset(),
                    Err(e) => {
                        let wait = lease_delay(shared, &e, &mut retries);
                        self.pause(wait, |s| matches!(s, Step::End | Step::Lost(_)))
                            .await;
                    }
                },
                Step::Wait => self.woken().await,
            }
        }
    }

    /// Answers the loss of the lease: by a new registration that names the old one, unless the
    /// loss is final.
    async fn replace_lease(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        loss: Loss,
    ) -> Result<(), Error> {
        if loss.error.reason() == Reason::Fenced {
            return Err(loss.error);
        }
        if loss.draining {
            let text = messages::lost_while_draining(&loss.lease.id);
            return Err(Error::new(Reason::LeaseUnknown, text).about("drain", &self.subject));
        }
        self.set_status(State::Registering, &loss.text(), Some(loss.error.clone()));
        self.register(shared, Some(&loss.lease)).await?;
        if let Some(next) = self.lease() {
            let text = loss.replaced_by(&next);
            tracing::warn!(registration = %self.subject, "{text}");
            self.set_status(State::Active, &text, None);
        }
        Ok(())
    }

    /// Asks for a lease until one is granted, the answer is final or somebody ended the session.
    /// All tries carry one request_id, so that at most one of them has effect.
    async fn register(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        previous: Option<&Lease>,
    ) -> Result<(), Error> {
        let (specs, version) = self.wanted();
        let mut message = register_request(shared, &specs, previous);
        shared.budget.call();
        let mut retries = Backoff::default();
        let mut uncertain: Option<Instant> = None;
        let mut take_overs = 0;
        loop {
            let sent = Instant::now();
            let e = match self.try_register(shared, &message).await {
                Ok(response) => {
                    self.granted(shared, response, specs, version, sent);
                    return Ok(());
                }
                Err(e) => e,
            };
            if previous.is_none() && take_overs < MAX_TAKE_OVERS && self.is_held_by_others(&e) {
                take_overs += 1;
                message.claim = Some(take_over(&e));
                continue;
            }
            if !may_pass(&e, previous.is_some()) {
                return Err(e);
            }
            if outcome_unknown(&e) {
                uncertain = Some(sent);
            }
            self.set_status(State::Registering, &e.text(), Some(e.clone()));
            // A grant that nobody knows of must be found, to be withdrawn.
            let must_find = uncertain.is_some_and(|at| at.elapsed() < shared.config.ttl);
            let wait = lease_delay(shared, &e, &mut retries);
            let urgent = |s: &Step| !must_find && matches!(s, Step::End);
            if !self.pause(wait, urgent).await {
                return Err(e);
            }
        }
    }

    /// Whether an instance is to be taken over from others.
    fn is_held_by_others(&self, e: &Error) -> bool {
        e.reason() == Reason::InstanceExists && !self.is_ending()
    }

    async fn try_register(
        &self,
        shared: &Shared,
        message: &v1::RegisterRequest,
    ) -> Result<v1::RegisterResponse, Error> {
        let headers = self.headers();
        self.try_call(shared, "register", &headers, |lane, deadline| {
            let message = message.clone();
            async move {
                let mut stub = lane.connection.registrations();
                stub.register(request(message, deadline)).await
            }
        })
        .await
    }

    /// One attempt at whichever server serves, within the timeout of a call.
    async fn try_call<T, F, Fut>(
        &self,
        shared: &Shared,
        op: &str,
        headers: &[Header],
        attempt: F,
    ) -> Result<T, Error>
    where
        F: Fn(crate::servers::Lane, Instant) -> Fut,
        Fut: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let what = What {
            op,
            subject: &self.subject,
            headers,
            brief: false,
        };
        let deadline = Instant::now() + defaults::CALL_TIMEOUT;
        let mut call = ObservedCall::begin();
        let result = timeout_at(
            deadline,
            shared.try_once(what, deadline, &attempt, &mut call),
        )
        .await;
        let result = result.unwrap_or_else(|_| {
            // Which server left it unanswered matters less than that one may have done it.
            let (server, _) = shared.servers.status();
            let text = messages::no_answer(defaults::CALL_TIMEOUT);
            let text = messages::server_error(op, &self.subject, &server, &text);
            Err(Error::new(Reason::Deadline, text)
                .about(op, &self.subject)
                .at(server))
        });
        call.finish(&shared.config.telemetry, what, &result);
        result
    }

    /// Takes a lease into use. It lives for its TTL from when the request was sent.
    fn granted(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        response: v1::RegisterResponse,
        specs: Vec<InstanceSpec>,
        version: u64,
        sent: Instant,
    ) {
        let grant = response.lease.unwrap_or_default();
        let ttl = duration_from_wire(grant.ttl.as_ref()).filter(|ttl| !ttl.is_zero());
        let lease = Lease {
            id: grant.lease_id,
            incarnation: grant.incarnation,
            epoch: grant.epoch,
            ttl: ttl.unwrap_or(shared.config.ttl),
        };
        shared.wrote(Position::new(response.epoch, response.revision));
        self.hold(lease.clone(), specs, version);
        // What is registered again later is nobody's call.
        self.set_headers(Vec::new());
        if !self.is_ending() {
            shared.keep(self, lease, sent);
        }
    }

    /// Sends what changed since the registry's last word, one call for each instance; `again` tells
    /// that the first is a repetition. The error is one that may pass; others are kept for `flush`.
    async fn update(self: &Arc<Self>, shared: &Shared, mut again: bool) -> Result<(), Error> {
        let (want, version) = self.wanted();
        let have = self.registered();
        let Some(lease) = self.lease() else {
            return Ok(());
        };
        for (index, (have, want)) in have.iter().zip(&want).enumerate() {
            let fields = desired::changed_fields(have, want);
            if fields.is_empty() {
                continue;
            }
            if !again {
                shared.budget.call();
            }
            again = false;
            match self.update_one(shared, &lease, want, &fields).await {
                Ok(()) => self.acknowledge(index, want, &fields),
                Err(e) if is_lost(&e) => {
                    let confirmed = shared.keeper.remove(&lease.id);
                    self.lease_lost(&lease.id, e, confirmed, false);
                    return Ok(());
                }
                Err(e) if may_pass(&e, true) || e.reason() == Reason::Cancelled => return Err(e),
                Err(e) => {
                    self.refuse(version, e);
                    return Ok(());
                }
            }
        }
        self.acknowledge_all(version);
        Ok(())
    }

    async fn update_one(
        &self,
        shared: &Shared,
        lease: &Lease,
        want: &InstanceSpec,
        fields: &[&str],
    ) -> Result<(), Error> {
        let message = v1::UpdateRequest {
            lease_id: lease.id.clone(),
            instance: Some(desired::patch(want, fields)),
            update_mask: Some(FieldMask {
                paths: fields.iter().map(|f| (*f).to_owned()).collect(),
            }),
        };
        let call = self.try_call(shared, "update", &[], |lane, deadline| {
            let message = message.clone();
            async move {
                let mut stub = lane.connection.registrations();
                stub.update(request(message, deadline)).await
            }
        });
        tokio::pin!(call);
        let response = loop {
            tokio::select! {
                response = &mut call => break response?,
                // The end and a lost lease do not wait for an answer that matters no more.
                () = self.woken() => if matches!(self.next(), Step::End | Step::Lost(_)) {
                    let text = messages::closed("registration");
                    return Err(Error::new(Reason::Cancelled, text).about("update", &self.subject));
                }
            }
        };
        shared.wrote(Position::new(response.epoch, response.revision));
        Ok(())
    }

    /// Takes back what is registered, unless it is lost anyway, and sets the final status.
    async fn finish(&self, shared: &Shared, cause: Option<Error>) {
        let mut failed = None;
        if let Some(lease) = self.lease() {
            let confirmed = shared.keeper.remove(&lease.id);
            let ours = (cause.is_none() || self.is_ending()) && !self.is_lost();
            if ours {
                failed = self.deregister(shared, &lease, confirmed).await.err();
            }
        }
        match cause {
            Some(e) if !self.is_ending() => self.finish_failed(e),
            _ => self.finish_chosen(failed),
        }
        self.settle();
        self.finished();
    }

    fn finish_chosen(&self, failed: Option<Error>) {
        let state = self.end_state();
        let error = if state == State::Closed {
            Some(Error::closed("client"))
        } else {
            failed
        };
        self.set_status(state, "", error);
    }

    fn finish_failed(&self, cause: Error) {
        if cause.reason() == Reason::Fenced {
            let text = messages::fenced(
                cause.detail("lease"),
                cause.detail("incarnation"),
                cause.detail("address"),
            );
            let error = Error::new(Reason::Fenced, text)
                .about("register", &self.subject)
                .caused_by(cause);
            tracing::error!(registration = %self.subject, "{}", error.text());
            self.set_status(State::Fenced, error.message(), Some(error.clone()));
        } else if cause.reason() == Reason::LeaseUnknown {
            // Only a drain ends so: elsewhere a lost lease is replaced.
            self.set_status(State::Deregistered, cause.message(), Some(cause.clone()));
        } else {
            self.set_status(State::Refused, &cause.text(), Some(cause.clone()));
        }
    }

    /// Ends the lease. It goes on until the lease would have expired, or at least until one try
    /// failed.
    async fn deregister(
        &self,
        shared: &Shared,
        lease: &Lease,
        confirmed: Option<Instant>,
    ) -> Result<(), Error> {
        shared.budget.call();
        let mut retries = Backoff::default();
        loop {
            let e = match self.try_deregister(shared, lease).await {
                Ok(()) => return Ok(()),
                Err(e) if is_lost(&e) => return Ok(()),
                Err(e) => e,
            };
            let over = confirmed.is_none_or(|at| at.elapsed() >= lease.ttl);
            if !e.is_retryable() || over {
                return Err(e);
            }
            sleep(lease_delay(shared, &e, &mut retries)).await;
        }
    }

    async fn try_deregister(&self, shared: &Shared, lease: &Lease) -> Result<(), Error> {
        let message = v1::DeregisterRequest {
            lease_id: lease.id.clone(),
            instances: Vec::new(),
        };
        let headers = self.headers();
        let response = self
            .try_call(shared, "deregister", &headers, |lane, deadline| {
                let message = message.clone();
                async move {
                    let mut stub = lane.connection.registrations();
                    stub.deregister(request(message, deadline)).await
                }
            })
            .await?;
        shared.wrote(Position::new(response.epoch, response.revision));
        Ok(())
    }
}

/// The wait before a call that concerns a lease is repeated.
fn lease_delay(shared: &Shared, e: &Error, retries: &mut Backoff) -> Duration {
    shared.delay(e, retries, shared.config.backoff_cap())
}

/// Whether to go on trying. What was registered once is not given up for a token that was renewed
/// too late.
fn may_pass(e: &Error, registered: bool) -> bool {
    e.is_retryable() || registered && e.reason() == Reason::Unauthenticated
}

/// Whether an error means that the lease holds the instances no longer.
pub(crate) fn is_lost(e: &Error) -> bool {
    matches!(
        e.reason(),
        Reason::LeaseUnknown | Reason::InstanceUnknown | Reason::Fenced
    )
}

fn register_request(
    shared: &Shared,
    specs: &[InstanceSpec],
    previous: Option<&Lease>,
) -> v1::RegisterRequest {
    use v1::register_request::Claim;
    let (a, b) = (shared.config.word(), shared.config.word());
    v1::RegisterRequest {
        instances: specs.iter().map(InstanceSpec::to_wire).collect(),
        ttl: Some(duration_to_wire(shared.config.ttl)),
        request_id: format!("{a:016x}{b:016x}"),
        claim: previous.map(|p| {
            Claim::Previous(v1::PreviousLease {
                lease_id: p.id.clone(),
                epoch: p.epoch,
                incarnation: p.incarnation,
            })
        }),
    }
}

/// Claims what INSTANCE_EXISTS named.
fn take_over(e: &Error) -> v1::register_request::Claim {
    let incarnations = e.detail("incarnations").unwrap_or_default();
    v1::register_request::Claim::TakeOver(v1::TakeOver {
        incarnations: incarnations
            .split(',')
            .filter_map(|i| i.trim().parse().ok())
            .collect(),
    })
}

/// How long a lease has been over; none if it is not.
pub(crate) fn over_for(confirmed: Option<Instant>, ttl: Duration) -> Option<Duration> {
    let ago = Instant::now().checked_duration_since(confirmed? + ttl)?;
    (!ago.is_zero()).then_some(ago)
}
