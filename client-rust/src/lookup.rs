//! Reading a selector once: [`Lookup`].

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use muster_proto::v1;
use muster_rules::defaults;
use tokio::time::Instant;

use crate::calls::{What, request};
use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::event::Event;
use crate::frame::{Broken, FrameState, Outcome, isolated, recovering};
use crate::freshness::StreamClock;
use crate::instance::ServiceName;
use crate::kinds::{Position, SnapshotCause};
use crate::messages;
use crate::observer::Header;
use crate::selector::Selector;
use crate::view::{Flags, Source, View};

/// A lookup to be, from [`Client::lookup`](crate::Client::lookup). Await it: it reads what the
/// selector matches, once, at one revision. It sees all own writes that were acknowledged before. A
/// service that does not exist is no error: [`View::intent`] and [`View::why`] tell.
#[must_use = "a lookup does nothing until it is awaited"]
pub struct Lookup {
    shared: Arc<Shared>,
    selector: Selector,
    min_position: Option<Position>,
    consistency: v1::Consistency,
    timeout: Duration,
    stale: bool,
    /// Something is known that may be the answer.
    brief: bool,
    /// What the observer wants to be sent along.
    headers: Vec<Header>,
}

impl Lookup {
    pub(crate) fn new(shared: Arc<Shared>, selector: Selector) -> Lookup {
        Lookup {
            shared,
            selector,
            min_position: None,
            consistency: v1::Consistency::Unspecified,
            timeout: defaults::CALL_TIMEOUT,
            stale: false,
            brief: false,
            headers: Vec::new(),
        }
    }

    /// Reads at this position or later, in place of that of the last own write.
    pub fn min_position(mut self, position: Position) -> Self {
        self.min_position = Some(position);
        self
    }

    /// Reads everything that was acknowledged anywhere before the call began; costs the registry
    /// more.
    pub fn linearizable(mut self) -> Self {
        self.consistency = v1::Consistency::Linearizable;
        self
    }

    /// Gives what is known if no registry answers: the view of a subscription, the answer of an
    /// earlier lookup, or what is in the [cache](crate::ClientBuilder::cache_dir).
    /// [`View::source`] is then `Memory` or `Disk`, and [`View::age`] how old it is; it may lack own
    /// writes. While something is known, every server is tried once and nobody waits for the next
    /// attempt: an outage of refused connections costs milliseconds, one of silence 3 s for each
    /// server, and at most the deadline. Without this the error says that nobody answers.
    pub fn allow_stale(mut self) -> Self {
        self.stale = true;
        self
    }

    /// Bounds the call; default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(mut self) -> Result<Arc<View>, Error> {
        self.selector.validate()?;
        if self.shared.is_closing() {
            return Err(self.shared.closed_error());
        }
        self.headers = self.shared.config.telemetry.headers();
        let (fixed, asked) = self.shared.config.fixed.split(&self.selector);
        let selector = Arc::new(self.selector.clone());
        let mut view = match asked {
            None => View::empty(selector, self.shared.clock),
            Some(asked) => {
                self.selector = asked;
                self.brief = self.stale && self.remembered(&self.selector.canonical()).is_some();
                let answer = self.look().await?;
                if fixed.is_none() {
                    return Ok(answer);
                }
                View {
                    selector,
                    ..View::clone(&answer)
                }
            }
        };
        match fixed {
            Some(fixed) if view.is_received() => fixed.add_to(&mut view),
            Some(fixed) => fixed.show_alone(&mut view),
            None => {}
        }
        Ok(Arc::new(view))
    }

    /// Asks the registry, and remembers what it answers.
    async fn look(&self) -> Result<Arc<View>, Error> {
        let key = self.selector.canonical();
        let deadline = Instant::now() + self.timeout;
        let written = self.shared.last_write();
        let own = (written != Position::default()).then_some(written);
        let position = self.min_position.or(own);
        let answer = match self.ask(&key, position, deadline).await {
            Err(e) if e.reason() == Reason::EpochChanged && self.min_position.is_none() => {
                // The history that the own writes were in is over.
                self.shared.forget_writes(written);
                self.ask(&key, None, deadline).await
            }
            answer => answer,
        };
        match answer {
            Ok(view) => {
                self.shared.answers.put(&key, &view);
                self.shared.offer_to_cache(&key, &view);
                Ok(view)
            }
            // Nobody could be asked, rather than that the question was refused.
            Err(e) if self.stale && e.is_retryable() && e.reason() != Reason::ProtocolViolation => {
                self.remembered(&key).ok_or(e)
            }
            Err(e) => Err(e),
        }
    }

    /// Makes the call and verifies its answer. An answer that does not fit what it says is
    /// unchanged is asked for again, whole.
    async fn ask(
        &self,
        key: &[u8],
        position: Option<Position>,
        deadline: Instant,
    ) -> Result<Arc<View>, Error> {
        let subject = self.selector.to_string();
        let mut known = self.shared.answers.get(key);
        loop {
            let answer = self
                .call(&subject, position, known.as_deref(), deadline)
                .await?;
            if answer.result != v1::LookupResult::Unchanged as i32 {
                return self.view(answer, &subject);
            }
            let Some(known) = known.take() else {
                let text = "an unchanged answer to a client that knows nothing".to_owned();
                return Err(self.violation(Broken::Violation(text), &subject));
            };
            if let Some(view) = self.unchanged(&known, &answer) {
                return Ok(Arc::new(view));
            }
        }
    }

    /// What is known, at the time and place of an answer that says so; none if the answer is of
    /// something else.
    fn unchanged(&self, known: &View, answer: &v1::LookupResponse) -> Option<View> {
        let h = answer.header.as_ref()?;
        let same = (h.epoch, h.view_id, h.digest, h.count)
            == (
                known.position.epoch,
                known.view_id,
                known.digest,
                known.count,
            );
        let mut view = known.clone();
        self.date(&mut view, h, &answer.forbidden);
        same.then_some(view)
    }

    /// The newest that is known of the selector.
    fn remembered(&self, key: &[u8]) -> Option<Arc<View>> {
        let answered = self.shared.answers.get(key);
        let watched = self.shared.watcher.view_of(key);
        let newest = match (answered, watched) {
            (Some(a), Some(w)) if a.position > w.position => Some(a),
            (a, w) => w.or(a),
        };
        let Some(newest) = newest else {
            let disk = self.shared.cache.as_ref()?.load(&self.shared, key)?;
            let mut view = View::empty(Arc::new(self.selector.clone()), self.shared.clock);
            disk.show(&mut view);
            return Some(Arc::new(view));
        };
        let mut view = View::clone(&newest);
        if view.source == Source::Registry {
            view.source = Source::Memory;
        }
        Some(Arc::new(view))
    }

    async fn call(
        &self,
        subject: &str,
        position: Option<Position>,
        known: Option<&View>,
        deadline: Instant,
    ) -> Result<v1::LookupResponse, Error> {
        let what = What {
            op: "lookup",
            subject,
            headers: &self.headers,
            brief: self.brief,
        };
        let message = v1::LookupRequest {
            selector: Some(self.selector.to_wire()),
            min_position: position.map(|p| v1::Position {
                epoch: p.epoch,
                revision: p.revision,
            }),
            consistency: self.consistency as i32,
            known: known.map(|v| v1::KnownView {
                epoch: v.position.epoch,
                revision: v.position.revision,
                view_id: v.view_id,
                digest: v.digest,
                count: v.count,
            }),
        };
        let call = self.shared.call(what, deadline, |lane, deadline| {
            let message = message.clone();
            async move {
                let mut stub = lane.connection.discovery();
                stub.lookup(request(message, deadline)).await
            }
        });
        call.await
    }

    /// Verifies an answer and makes it a view.
    fn view(&self, answer: v1::LookupResponse, subject: &str) -> Result<Arc<View>, Error> {
        let header = answer.header.clone().unwrap_or_default();
        let forbidden = answer.forbidden.clone();
        let mut frames = FrameState::default();
        if let Outcome::Broken(broken) = frames.snapshot(snapshot(answer), &[], 0) {
            return Err(self.violation(broken, subject));
        }
        let mut view = View::empty(Arc::new(self.selector.clone()), self.shared.clock);
        view.view_id = header.view_id;
        view.digest = header.digest;
        view.count = header.count;
        view.instances = frames.instances();
        view.services = frames.services();
        view.snapshots = 1;
        view.last_cause = SnapshotCause::First;
        self.date(&mut view, &header, &forbidden);
        Ok(Arc::new(view))
    }

    /// Makes a view that of the time and the place of an answer.
    fn date(&self, view: &mut View, header: &v1::ViewHeader, forbidden: &[v1::ServiceName]) {
        let now_ms = self.shared.clock.now_ms();
        let (uptime, age) = (header.server_uptime_ms, header.data_age_ms);
        view.timing = Some(StreamClock::default().frame(now_ms, uptime, age));
        view.position = Position::new(header.epoch, header.revision);
        let forbidden = forbidden.iter();
        view.forbidden = forbidden
            .map(|n| ServiceName::new(&n.namespace, &n.service))
            .collect();
        view.flags = Flags {
            recovering: recovering(header),
            isolated: isolated(header),
        };
        view.source = Source::Registry;
    }

    fn violation(&self, broken: Broken, subject: &str) -> Error {
        let (server, _) = self.shared.servers.status();
        self.shared.config.telemetry.observe(&Event::FrameRejected {
            selector: subject,
            server: &server,
            fault: broken.fault(),
        });
        let what = broken.text();
        let text = messages::violation(&server, &format!("lookup {subject}: {what}"));
        Error::new(Reason::ProtocolViolation, text)
            .about("lookup", subject)
            .at(server)
    }
}

/// An answer as a snapshot in one chunk, to be verified like one.
fn snapshot(answer: v1::LookupResponse) -> v1::Snapshot {
    v1::Snapshot {
        header: answer.header,
        chunk: Some(v1::Chunk {
            index: 0,
            position: v1::ChunkPosition::Final as i32,
        }),
        cause: v1::SnapshotCause::First as i32,
        instances: answer.instances,
        services: answer.services,
        removed: Vec::new(),
    }
}

impl IntoFuture for Lookup {
    type Output = Result<Arc<View>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("selector", &self.selector)
            .field("min_position", &self.min_position)
            .finish_non_exhaustive()
    }
}
