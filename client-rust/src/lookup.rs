//! Reading a selector once: [`Lookup`].

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use muster_proto::v1;
use tokio::time::Instant;

use crate::calls::{What, request};
use crate::client::Shared;
use crate::config::CALL_TIMEOUT;
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
}

impl Lookup {
    pub(crate) fn new(shared: Arc<Shared>, selector: Selector) -> Lookup {
        Lookup {
            shared,
            selector,
            min_position: None,
            consistency: v1::Consistency::Unspecified,
            timeout: CALL_TIMEOUT,
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

    /// Bounds the call; default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(self) -> Result<Arc<View>, Error> {
        self.selector.validate()?;
        let subject = self.selector.to_string();
        if self.shared.is_closing() {
            return Err(self.shared.closed_error());
        }
        let headers = self.shared.config.telemetry.headers();
        let deadline = Instant::now() + self.timeout;
        let written = self.shared.last_write();
        let own = (written != Position::default()).then_some(written);
        let position = self.min_position.or(own);
        let answer = match self.call(&subject, &headers, position, deadline).await {
            Err(e) if e.reason() == Reason::EpochChanged && self.min_position.is_none() => {
                // The history that the own writes were in is over.
                self.shared.forget_writes(written);
                self.call(&subject, &headers, None, deadline).await?
            }
            answer => answer?,
        };
        let view = self.view(answer, &subject)?;
        self.shared
            .offer_to_cache(&self.selector.canonical(), &view);
        Ok(view)
    }

    async fn call(
        &self,
        subject: &str,
        headers: &[Header],
        position: Option<Position>,
        deadline: Instant,
    ) -> Result<v1::LookupResponse, Error> {
        let what = What {
            op: "lookup",
            subject,
            headers,
        };
        let message = v1::LookupRequest {
            selector: Some(self.selector.to_wire()),
            min_position: position.map(|p| v1::Position {
                epoch: p.epoch,
                revision: p.revision,
            }),
            consistency: self.consistency as i32,
            known: None,
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
        let now_ms = self.shared.clock.now_ms();
        let (uptime, age) = (header.server_uptime_ms, header.data_age_ms);
        view.timing = Some(StreamClock::default().frame(now_ms, uptime, age));
        view.position = Position::new(header.epoch, header.revision);
        view.view_id = header.view_id;
        view.digest = header.digest;
        view.count = header.count;
        view.instances = frames.instances();
        view.services = frames.services();
        view.forbidden = forbidden
            .into_iter()
            .map(|n| ServiceName::new(n.namespace, n.service))
            .collect();
        view.flags = Flags {
            recovering: recovering(&header),
            isolated: isolated(&header),
        };
        view.source = Source::Registry;
        view.snapshots = 1;
        view.last_cause = SnapshotCause::First;
        Ok(Arc::new(view))
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
        Error::new(Reason::ProtocolViolation, text).at(server)
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
