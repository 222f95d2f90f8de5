//! The state of one registration, which its driver reads and everybody else changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::desired;
use crate::error::Error;
use crate::event::Event;
use crate::instance::InstanceKey;
use crate::kinds::Lifecycle;
use crate::messages;
use crate::observer::Header;
use crate::registration::{RegistrationState, RegistrationStatus};
use crate::session::over_for;
use crate::spec::InstanceSpec;
use crate::telemetry::Telemetry;

/// A grant of the registry.
#[derive(Clone)]
pub(crate) struct Lease {
    /// The secret by which it is renewed: never shown whole.
    pub(crate) id: String,
    pub(crate) incarnation: u64,
    pub(crate) epoch: u64,
    pub(crate) ttl: Duration,
}

/// A lease that is gone.
#[derive(Clone)]
pub(crate) struct Loss {
    pub(crate) lease: Lease,
    pub(crate) error: Error,
    /// How long it had been over when its loss was told; none if it had not been.
    ago: Option<Duration>,
    /// Whether the process did not run meanwhile.
    asleep: bool,
    /// Whether the registration was draining.
    pub(crate) draining: bool,
}

impl Loss {
    /// What to say while nothing took the lease's place.
    pub(crate) fn text(&self) -> String {
        messages::lease_gone(&self.lease.id)
    }

    /// What to say once this lease took its place.
    pub(crate) fn replaced_by(&self, next: &Lease) -> String {
        match self.ago {
            Some(ago) if self.asleep => messages::lease_expired(&self.lease.id, ago, &next.id),
            _ => messages::lease_lost(&self.lease.id, &next.id),
        }
    }
}

/// What the driver does next, by urgency.
pub(crate) enum Step {
    End,
    Lost(Loss),
    Update,
    Wait,
}

/// One registration.
pub(crate) struct Session {
    /// What texts call it: its first instance.
    pub(crate) subject: String,
    /// Wakes the driver; told twice, it looks once.
    wake: Notify,
    /// The first registration was decided.
    settled: CancellationToken,
    /// Somebody ended it.
    ending: CancellationToken,
    /// The driver ended.
    done: CancellationToken,
    status: watch::Sender<RegistrationStatus>,
    /// Rises when something was acknowledged, refused, or the status changed.
    progress: watch::Sender<u64>,
    telemetry: Arc<Telemetry>,
    /// Orders what the observer is told of the status.
    telling: Mutex<()>,
    /// No other lock is taken while it is held, but those of the two senders.
    inner: Mutex<Inner>,
}

struct Inner {
    lease: Option<Lease>,
    lost: Option<Loss>,
    /// What should be registered; rises in version with each change.
    want: Vec<InstanceSpec>,
    version: u64,
    /// What the registry acknowledged, all of it up to this version.
    have: Vec<InstanceSpec>,
    acked: u64,
    /// The registry's refusal of a version.
    refused: Option<(u64, Error)>,
    draining: bool,
    /// The final state that somebody chose.
    end_state: Option<RegistrationState>,
    /// The headers of the caller who began the first registration, then of who ended it.
    headers: Vec<Header>,
}

/// How far `flush` is.
pub(crate) enum Flushed {
    Yes,
    Refused(Error),
    NotYet,
}

impl Session {
    pub(crate) fn new(specs: Vec<InstanceSpec>, telemetry: Arc<Telemetry>) -> Session {
        let subject = specs
            .first()
            .map(|s| s.key().to_string())
            .unwrap_or_default();
        Session {
            subject,
            wake: Notify::new(),
            settled: CancellationToken::new(),
            ending: CancellationToken::new(),
            done: CancellationToken::new(),
            status: watch::Sender::new(RegistrationStatus::new()),
            progress: watch::Sender::new(0),
            telling: Mutex::default(),
            inner: Mutex::new(Inner {
                lease: None,
                lost: None,
                want: specs,
                version: 1,
                have: Vec::new(),
                acked: 0,
                refused: None,
                draining: false,
                end_state: None,
                headers: telemetry.headers(),
            }),
            telemetry,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what the driver does.
    pub(crate) fn next(&self) -> Step {
        let inner = self.lock();
        let settled = inner.refused.as_ref().map_or(0, |(version, _)| *version);
        if inner.end_state.is_some() {
            Step::End
        } else if let Some(lost) = &inner.lost {
            Step::Lost(Loss {
                draining: inner.draining,
                ..lost.clone()
            })
        } else if inner.version > inner.acked.max(settled) {
            Step::Update
        } else {
            Step::Wait
        }
    }

    /// Returns when something may have changed.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Waits, and tells whether it did until the end: a step that is urgent ends it.
    pub(crate) async fn pause(&self, wait: Duration, urgent: impl Fn(&Step) -> bool) -> bool {
        let over = sleep(wait);
        tokio::pin!(over);
        loop {
            if urgent(&self.next()) {
                return false;
            }
            tokio::select! {
                () = &mut over => return true,
                () = self.wake.notified() => {}
            }
        }
    }

    pub(crate) fn settle(&self) {
        self.settled.cancel();
    }

    /// Returns once the first registration was decided.
    pub(crate) async fn settled(&self) {
        self.settled.cancelled().await;
    }

    pub(crate) fn finished(&self) {
        self.done.cancel();
    }

    /// Returns once the driver ended.
    pub(crate) async fn done(&self) {
        self.done.cancelled().await;
    }

    /// The driver is gone, perhaps before its end: whatever waits for it must not wait for ever.
    pub(crate) fn abandon(&self) {
        let error = Error::closed("client");
        self.set_status(RegistrationState::Closed, "", Some(error));
        self.settle();
        self.finished();
    }

    fn progressed(&self) {
        self.progress.send_modify(|n| *n += 1);
    }

    /// Tells of progress from now on.
    pub(crate) fn watch_progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    /// Takes a granted lease into use.
    pub(crate) fn hold(&self, lease: Lease, registered: Vec<InstanceSpec>, version: u64) {
        {
            let mut inner = self.lock();
            inner.lease = Some(lease);
            inner.lost = None;
            inner.have = registered;
            inner.acked = version;
        }
        self.set_status(RegistrationState::Active, "", None);
        self.progressed();
    }

    /// Publishes a status, unless it is as before or the last was final.
    pub(crate) fn set_status(&self, state: RegistrationState, reason: &str, error: Option<Error>) {
        let lease = self.lease();
        let incarnation = lease.as_ref().map_or(0, |l| l.incarnation);
        let _in_order = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = state;
        let changed = self.status.send_if_modified(|old| {
            let same = old.state == state && old.reason == reason;
            if old.state.is_final() || same && old.incarnation == incarnation {
                return false;
            }
            from = old.state;
            *old = RegistrationStatus {
                state,
                reason: reason.to_owned(),
                incarnation,
                lease: lease
                    .as_ref()
                    .map_or("", |l| messages::short_lease(&l.id))
                    .to_owned(),
                error,
            };
            true
        });
        if changed {
            self.progressed();
        }
        if from != state {
            self.telemetry.observe(&Event::RegistrationChanged {
                subject: &self.subject,
                from,
                to: state,
                reason,
            });
        }
    }

    /// What is sent with the calls that somebody asked for.
    pub(crate) fn headers(&self) -> Vec<Header> {
        self.lock().headers.clone()
    }

    pub(crate) fn set_headers(&self, headers: Vec<Header>) {
        self.lock().headers = headers;
    }

    pub(crate) fn status(&self) -> RegistrationStatus {
        self.status.borrow().clone()
    }

    pub(crate) fn watch_status(&self) -> watch::Receiver<RegistrationStatus> {
        self.status.subscribe()
    }

    pub(crate) fn lease(&self) -> Option<Lease> {
        self.lock().lease.clone()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lock().lost.is_some()
    }

    pub(crate) fn keys(&self) -> Vec<InstanceKey> {
        self.lock().want.iter().map(InstanceSpec::key).collect()
    }

    /// What should be registered, and its version.
    pub(crate) fn wanted(&self) -> (Vec<InstanceSpec>, u64) {
        let inner = self.lock();
        (inner.want.clone(), inner.version)
    }

    /// What the registry acknowledged.
    pub(crate) fn registered(&self) -> Vec<InstanceSpec> {
        self.lock().have.clone()
    }

    /// Edits what every instance should be.
    pub(crate) fn change(&self, edit: impl Fn(&mut InstanceSpec)) {
        {
            let mut inner = self.lock();
            inner.want.iter_mut().for_each(edit);
            inner.version += 1;
        }
        self.wake.notify_one();
    }

    /// Sets what every instance is doing; serving also ends a drain.
    pub(crate) fn change_lifecycle(&self, lifecycle: Lifecycle) {
        {
            let mut inner = self.lock();
            inner.draining &= lifecycle != Lifecycle::Serving;
            inner.want.iter_mut().for_each(|w| w.lifecycle = lifecycle);
            inner.version += 1;
        }
        self.wake.notify_one();
    }

    /// The registry has these fields of one instance.
    pub(crate) fn acknowledge(&self, index: usize, want: &InstanceSpec, fields: &[&str]) {
        if let Some(have) = self.lock().have.get_mut(index) {
            desired::take_over(have, want, fields);
        }
    }

    pub(crate) fn acknowledge_all(&self, version: u64) {
        {
            let mut inner = self.lock();
            inner.acked = inner.acked.max(version);
        }
        self.progressed();
    }

    /// The registry will not take a version.
    pub(crate) fn refuse(&self, version: u64, error: Error) {
        self.lock().refused = Some((version, error));
        self.progressed();
    }

    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Whether the registry has acknowledged this version.
    pub(crate) fn flushed(&self, version: u64) -> Flushed {
        let status = self.status();
        let inner = self.lock();
        match &inner.refused {
            _ if inner.acked >= version => Flushed::Yes,
            Some((refused, e)) if *refused >= version => Flushed::Refused(e.clone()),
            _ if status.state.is_final() => {
                let closed = || Error::closed("registration");
                Flushed::Refused(status.error.unwrap_or_else(closed))
            }
            _ => Flushed::NotYet,
        }
    }

    /// Asks the driver to take everything back and to end in this state. The first to ask decides.
    pub(crate) fn end(&self, state: RegistrationState) {
        self.lock().end_state.get_or_insert(state);
        self.ending.cancel();
        self.wake.notify_one();
    }

    /// `end` by a caller whose headers go with the call.
    pub(crate) fn end_with(&self, state: RegistrationState, headers: Vec<Header>) {
        {
            let mut inner = self.lock();
            if inner.end_state.is_none() {
                inner.headers = headers;
            }
        }
        self.end(state);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// The state that was asked for; a driver that ends unasked was closed.
    pub(crate) fn end_state(&self) -> RegistrationState {
        let chosen = self.lock().end_state;
        chosen.unwrap_or(RegistrationState::Closed)
    }

    /// Marks the session as draining once it has a lease: from here on a lost lease is final, and
    /// DRAINING is what is wanted and will be there.
    pub(crate) fn begin_drain(&self) -> Result<Option<Lease>, Error> {
        let status = self.status();
        let mut inner = self.lock();
        if inner.end_state.is_some() || status.state.is_final() {
            let closed = || Error::closed("registration");
            return Err(status.error.unwrap_or_else(closed));
        }
        if inner.lost.is_some() || inner.lease.is_none() {
            return Ok(None);
        }
        inner.draining = true;
        let Inner { want, have, .. } = &mut *inner;
        for spec in want.iter_mut().chain(have) {
            spec.lifecycle = Lifecycle::Draining;
        }
        Ok(inner.lease.clone())
    }

    /// The drain was cancelled by going back to serving.
    pub(crate) fn drain_cancelled(&self) {
        self.lock().draining = false;
    }

    /// A lease is gone, if it is the present one.
    pub(crate) fn lease_lost(
        &self,
        id: &str,
        error: Error,
        confirmed: Option<Instant>,
        asleep: bool,
    ) {
        {
            let mut inner = self.lock();
            let Some(lease) = inner.lease.clone().filter(|l| l.id == id) else {
                return;
            };
            inner.lost.get_or_insert_with(|| Loss {
                ago: over_for(confirmed, lease.ttl),
                lease,
                error,
                asleep,
                draining: false,
            });
        }
        self.wake.notify_one();
    }

    /// The last keepalive was confirmed.
    pub(crate) fn lease_confirmed(&self, id: &str) {
        if self.holds(id) && self.status().state == RegistrationState::Unconfirmed {
            self.set_status(RegistrationState::Active, "", None);
        }
    }

    /// The last keepalive was not confirmed.
    pub(crate) fn lease_unconfirmed(&self, id: &str, reason: &str, error: Option<Error>) {
        let state = self.status().state;
        let alive = matches!(
            state,
            RegistrationState::Active | RegistrationState::Unconfirmed
        );
        if self.holds(id) && alive {
            self.set_status(RegistrationState::Unconfirmed, reason, error);
        }
    }

    fn holds(&self, id: &str) -> bool {
        let inner = self.lock();
        inner.lost.is_none() && inner.lease.as_ref().is_some_and(|l| l.id == id)
    }
}

/// Ends a session whose caller gave up before it was settled.
pub(crate) struct Withdraw(Option<Arc<Session>>);

impl Withdraw {
    pub(crate) fn new(session: Arc<Session>) -> Withdraw {
        Withdraw(Some(session))
    }

    /// Lets the session live.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Withdraw {
    fn drop(&mut self) {
        if let Some(session) = &self.0 {
            session.end(RegistrationState::Deregistered);
        }
    }
}
