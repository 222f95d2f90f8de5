//! The way of one request: wait for an endpoint, choose one, send, and once more elsewhere if
//! nothing was processed.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use h2::RecvStream;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Request, Response, Uri, Version};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::body::Body;

use super::conn::Unsent;
use super::core::{Core, Entry};
use super::deadline::{Budget, Deadline};
use super::endpoint::EndpointKey;
use super::failure::Failure;
use super::lane::Place;
use super::pick::{Pick, Table, pick};
use super::request::{Payload, Pump, read_ahead};
use super::response::{Exchange, ResponseBody, passed, tidy};
use super::status::{is_connection_lost, is_unprocessed};

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("muster-client-rust/", env!("CARGO_PKG_VERSION")));

/// An extension of a request: rather than fail while no endpoint is ready, wait for one.
///
/// Without it, calls wait only while an endpoint is being connected, and fail once all that were
/// tried have failed. The request's own deadline holds in any case.
#[derive(Clone, Copy, Debug)]
pub struct WaitForReady(Duration);

impl WaitForReady {
    /// Waits for up to `limit`, then fails as if it had not waited.
    #[must_use]
    pub fn up_to(limit: Duration) -> Self {
        Self(limit)
    }
}

/// Where a call is, for the message of a deadline.
#[derive(Default)]
struct Stage(Mutex<Option<EndpointKey>>);

impl Stage {
    fn sent_to(&self, key: Option<&EndpointKey>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = key.cloned();
    }

    fn describe(&self, target: &str) -> String {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => format!("waiting for an endpoint of {target}"),
            Some(key) => format!("{key} had not answered"),
        }
    }
}

/// Sends a request and returns when its response headers are there.
pub(crate) async fn call(
    core: &Core,
    request: Request<Body>,
) -> Result<Response<ResponseBody>, Status> {
    let (parts, body) = request.into_parts();
    let deadline = Deadline::start(&parts.headers);
    let payload = read_ahead(body)?;
    let stage = Stage::default();
    let patience = parts.extensions.get::<WaitForReady>();
    let mut exchange = Call {
        core,
        budget: deadline.as_ref().map(|deadline| deadline.budget),
        patient_until: patience.map(|wait| Instant::now() + wait.0),
        parts,
        stage: &stage,
        refused: None,
        missed: None,
        used_up: 0,
    };
    let (response, exchange, deadline) = match deadline {
        None => {
            let (response, exchange) = exchange.run(payload).await?;
            (response, exchange, None)
        }
        Some(mut deadline) => {
            let (response, exchange) = within(&mut deadline, exchange.run(payload), || {
                stage.describe(&core.target)
            })
            .await?;
            (response, exchange, Some(deadline))
        }
    };
    let (mut head, stream) = response.into_parts();
    tidy(
        &mut head.headers,
        deadline.as_ref().map(|deadline| deadline.budget),
    );
    let body = ResponseBody::new(stream, exchange, deadline);
    Ok(Response::from_parts(head, body))
}

/// Gives up on `work` when the deadline passes.
async fn within<T>(
    deadline: &mut Deadline,
    work: impl Future<Output = Result<T, Status>>,
    until_then: impl Fn() -> String,
) -> Result<T, Status> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        deadline
            .poll_passed(cx)
            .map(|()| Err(passed(deadline.budget, &until_then())))
    })
    .await
}

/// A call under way.
struct Call<'a> {
    core: &'a Core,
    parts: Parts,
    budget: Option<Budget>,
    patient_until: Option<Instant>,
    stage: &'a Stage,
    /// The lane that did not process this request: it is not asked again.
    refused: Option<u64>,
    /// A table, by its sequence number, and one of its lanes that was shut after it was made.
    missed: Option<(u64, u64)>,
    /// The last table that is of no use any more.
    used_up: u64,
}

/// What became of a request that was sent.
enum Sent {
    Answered(Box<(Response<RecvStream>, Exchange)>),
    /// The peer has not processed it.
    Unprocessed(Status),
    Failed(Status),
}

impl Call<'_> {
    async fn run(&mut self, payload: Payload) -> Result<(Response<RecvStream>, Exchange), Status> {
        // Only what is still whole can be sent again.
        let again = match &payload {
            Payload::Whole(bytes) => Some(bytes.clone()),
            Payload::Stream(_) => None,
        };
        match self.send(payload).await? {
            Sent::Answered(answer) => Ok(*answer),
            Sent::Failed(status) => Err(status),
            Sent::Unprocessed(status) => {
                let Some(bytes) = again else {
                    return Err(status);
                };
                self.stage.sent_to(None);
                match self.send(Payload::Whole(bytes)).await? {
                    Sent::Answered(answer) => Ok(*answer),
                    Sent::Unprocessed(status) | Sent::Failed(status) => Err(status),
                }
            }
        }
    }

    /// Sends to some endpoint and waits for the answer.
    async fn send(&mut self, payload: Payload) -> Result<Sent, Status> {
        let end = matches!(&payload, Payload::Whole(bytes) if bytes.is_empty());
        let (place, (response, mut stream)) = loop {
            let (sequence, entry) = self.choose().await?;
            let lane = &entry.conn.lane;
            if let Some(place) = Place::take(lane).await {
                match entry.conn.send(self.request(&entry), end) {
                    Ok(sent) => break (Arc::new(place), sent),
                    Err(Unsent::Malformed(error)) => {
                        let text = format!("the request cannot be sent over HTTP/2: {error}");
                        return Err(Status::internal(text));
                    }
                    Err(Unsent::Shut) => {}
                }
            }
            self.miss(sequence, lane.id);
        };
        let lane = Arc::clone(&place.lane);
        self.stage.sent_to(Some(&lane.key));
        let id = response.stream_id().as_u32();
        let pump = match payload {
            Payload::Stream(rest) => Some(Pump::start(rest, stream, Arc::clone(&place))),
            Payload::Whole(bytes) if !end => {
                // An error means that the stream is over; the response tells why.
                drop(stream.send_data(bytes, true));
                None
            }
            Payload::Whole(_) => None,
        };
        let exchange = Exchange { place, pump };
        Ok(match response.await {
            Ok(response) => Sent::Answered(Box::new((response, exchange))),
            Err(error) => {
                let status = exchange.failed(&error, self.budget);
                let unsent = is_connection_lost(&error) && !lane.wire.was_sent(id);
                if unsent || is_unprocessed(&error) {
                    self.refused = Some(lane.id);
                    Sent::Unprocessed(status)
                } else {
                    Sent::Failed(status)
                }
            }
        })
    }

    /// Notes that a lane was shut after its table was made. Another of the same table may be open;
    /// if one more is shut, or one is to be avoided anyway, the next table is worth the wait: a
    /// lane that shuts always brings one.
    fn miss(&mut self, sequence: u64, lane: u64) {
        let again = self.missed.is_some_and(|(table, _)| table == sequence);
        if again || self.refused.is_some() {
            self.used_up = sequence;
        } else {
            self.missed = Some((sequence, lane));
        }
    }

    /// The index of the entry not to choose from a table.
    fn avoid(&self, table: &Table<Entry>) -> Option<usize> {
        let missed = self
            .missed
            .filter(|&(sequence, _)| sequence == table.sequence);
        let lane = self.refused.or(missed.map(|(_, lane)| lane))?;
        table
            .entries
            .iter()
            .position(|entry| entry.conn.lane.id == lane)
    }

    /// Waits for an entry to send to. Returns it with the sequence number of its table.
    async fn choose(&self) -> Result<(u64, Entry), Status> {
        loop {
            let (sequence, failure) = {
                let table = self.core.table.load();
                let avoid = self.avoid(&table);
                if table.sequence <= self.used_up {
                    (table.sequence, None)
                } else {
                    let load = |index: usize| table.entries[index].slot.in_flight();
                    match pick(
                        &table,
                        self.core.next_turn(),
                        fastrand::u64(..),
                        None,
                        avoid,
                        load,
                    ) {
                        Pick::Slot(index) => {
                            return Ok((table.sequence, table.entries[index].clone()));
                        }
                        Pick::Wait => (table.sequence, None),
                        Pick::Fail(failure) => (table.sequence, Some(failure.to_status())),
                        Pick::Excluded => (table.sequence, self.excluded(&table.entries[0])),
                    }
                }
            };
            self.wait(sequence, failure).await?;
        }
    }

    /// The only entry is the one to avoid. That is final if it refused this request and is there
    /// to stay; one that was shut is about to leave the table.
    fn excluded(&self, entry: &Entry) -> Option<Status> {
        let lane = &entry.conn.lane;
        (self.refused.is_some() && lane.gate.is_open()).then(|| {
            let address = lane.key.to_string();
            let cause = "the peer had no room for it";
            Failure::refused(&self.core.target, &address, cause).to_status()
        })
    }

    /// Waits for the next table, or fails if there is a failure and no patience left.
    async fn wait(&self, sequence: u64, failure: Option<Status>) -> Result<(), Status> {
        let next = self.core.newer_than(sequence);
        match (failure, self.patient_until) {
            (None, _) => next.await,
            (Some(failure), None) => return Err(failure),
            (Some(failure), Some(until)) => {
                timeout_at(until, next).await.map_err(|_| failure)?;
            }
        }
        Ok(())
    }

    /// The head of the request for this endpoint.
    fn request(&self, entry: &Entry) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.parts.method.clone();
        *request.version_mut() = Version::HTTP_2;
        let mut uri = self.parts.uri.clone().into_parts();
        uri.scheme = Some(entry.scheme.clone());
        uri.authority.get_or_insert_with(|| entry.authority.clone());
        // All three parts are there, or HTTP/2 refuses the request as malformed.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        let headers = request.headers_mut();
        headers.clone_from(&self.parts.headers);
        headers.entry(USER_AGENT).or_insert(AGENT);
        if let Some(budget) = &self.budget {
            budget.rewrite(headers);
        }
        request
    }
}
