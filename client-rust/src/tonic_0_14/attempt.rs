//! The way of one request: wait for an endpoint, choose one, send, and once more elsewhere if
//! nothing was processed.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Request, Response, Uri, Version};
use tonic::Status;

use crate::event::Event;

use super::call::Patience;
use super::choice::{Choice, Wish, choose};
use super::conn::{Conn, Unsent};
use super::core::{Core, Entry};
use super::deadline::Budget;
use super::failure::Failure;
use super::lane::Place;
use super::report::{Sent, Stage};
use super::request::{Payload, Pump};
use super::response::Exchange;
use super::status::{is_connection_lost, is_unprocessed};

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("muster-client-rust/", env!("CARGO_PKG_VERSION")));

/// The attempts of one call, with what was learned from those before.
pub(crate) struct Attempts<'a> {
    core: &'a Arc<Core>,
    wish: Wish,
    parts: Parts,
    budget: Option<Budget>,
    patience: Patience,
    stage: &'a Stage,
    /// The lane that did not process this request: it is not asked again.
    refused: Option<u64>,
    /// A table, by its sequence number, and one of its lanes that was shut after it was made.
    missed: Option<(u64, u64)>,
    /// The last table that is of no use any more.
    used_up: u64,
}

/// What became of a request that was sent.
enum Outcome {
    Answered(Box<(Response<RecvStream>, Exchange)>),
    /// The peer has not processed it.
    Unprocessed(Status),
    Failed(Status),
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(
        core: &'a Arc<Core>,
        parts: Parts,
        budget: Option<Budget>,
        patience: Patience,
        stage: &'a Stage,
    ) -> Self {
        Self {
            core,
            wish: Wish::of(&parts.extensions),
            parts,
            budget,
            patience,
            stage,
            refused: None,
            missed: None,
            used_up: 0,
        }
    }

    /// Sends the request, and if it was certainly not processed, once more.
    pub(crate) async fn run(
        &mut self,
        payload: Payload,
    ) -> Result<(Response<RecvStream>, Exchange), Status> {
        // Only what is still whole can be sent again.
        let again = match &payload {
            Payload::Whole(bytes) => Some(bytes.clone()),
            Payload::Stream(_) => None,
        };
        match self.send(payload).await? {
            Outcome::Answered(answer) => Ok(*answer),
            Outcome::Failed(status) => Err(status),
            Outcome::Unprocessed(status) => {
                let Some(bytes) = again else {
                    return Err(status);
                };
                match self.send(Payload::Whole(bytes)).await? {
                    Outcome::Answered(answer) => Ok(*answer),
                    Outcome::Unprocessed(status) | Outcome::Failed(status) => Err(status),
                }
            }
        }
    }

    /// Sends to some endpoint and waits for the answer.
    async fn send(&mut self, payload: Payload) -> Result<Outcome, Status> {
        let end = matches!(&payload, Payload::Whole(bytes) if bytes.is_empty());
        let (place, response, mut stream) = self.open(end).await?;
        let lane = Arc::clone(&place.lane);
        let id = response.stream_id().as_u32();
        let mut pump = None;
        match payload {
            Payload::Stream(rest) => {
                let runtime = &self.core.runtime;
                pump = Some(Pump::start(runtime, rest, stream, Arc::clone(&place)));
            }
            Payload::Whole(_) if end => {}
            // An error means that the stream is over; the response tells why.
            Payload::Whole(bytes) => drop(stream.send_data(bytes, true)),
        }
        let response = response.await;
        let sent = self.stage.take();
        let mut exchange = Exchange::new(place, pump, sent);
        let error = match response {
            Ok(response) => {
                exchange.answered();
                return Ok(Outcome::Answered(Box::new((response, exchange))));
            }
            Err(error) => error,
        };
        let status = exchange.failed(&error, self.budget);
        exchange.ended(status.code());
        let unsent = is_connection_lost(&error) && !lane.wire.was_sent(id);
        if unsent || is_unprocessed(&error) {
            self.refused = Some(lane.id);
            return Ok(Outcome::Unprocessed(status));
        }
        Ok(Outcome::Failed(status))
    }

    /// Opens a stream to some endpoint. `end`: the request has no body.
    async fn open(
        &mut self,
        end: bool,
    ) -> Result<(Arc<Place>, ResponseFuture, SendStream<Bytes>), Status> {
        loop {
            let (sequence, entry, conn) = self.choose().await?;
            let lane = &conn.lane;
            if let Some(place) = Place::take(lane).await {
                match conn.send(self.request(&entry), end) {
                    Ok((response, stream)) => {
                        let sent = Sent::now(Arc::clone(self.core), Arc::clone(&entry.slot));
                        self.stage.set(sent);
                        return Ok((Arc::new(place), response, stream));
                    }
                    Err(Unsent::Malformed(error)) => {
                        let text = format!("the request cannot be sent over HTTP/2: {error}");
                        return Err(Status::internal(text));
                    }
                    Err(Unsent::Shut) => {}
                }
            }
            self.miss(sequence, lane.id);
        }
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

    /// The lane not to choose from a table.
    fn avoid(&self, sequence: u64) -> Option<u64> {
        let missed = self.missed.filter(|&(table, _)| table == sequence);
        self.refused.or(missed.map(|(_, lane)| lane))
    }

    /// Waits for an entry to send to. Returns it with its connection and the sequence number of its
    /// table.
    async fn choose(&mut self) -> Result<(u64, Arc<Entry>, Arc<Conn>), Status> {
        loop {
            let (sequence, failure) = {
                let table = self.core.table.load();
                let sequence = table.sequence;
                if sequence <= self.used_up {
                    (sequence, None)
                } else {
                    let avoid = self.avoid(sequence);
                    match choose(self.core, &table, &self.wish, avoid) {
                        Choice::Send(entry, conn) => return Ok((sequence, entry, conn)),
                        Choice::Wait => (sequence, None),
                        Choice::Fail(failure) => (sequence, Some(failure)),
                        Choice::Excluded(conn) => (sequence, self.excluded(&conn)),
                    }
                }
            };
            self.wait(sequence, failure).await?;
        }
    }

    /// The only entry is the one to avoid. That is final if it refused this request and is there
    /// to stay; one that was shut is about to leave the table.
    fn excluded(&self, conn: &Conn) -> Option<Failure> {
        let lane = &conn.lane;
        (self.refused.is_some() && lane.gate.is_open()).then(|| {
            let address = lane.key.to_string();
            let cause = "the peer had no room for it";
            Failure::refused(&self.core.target, &address, cause)
        })
    }

    /// Waits for the next table, or fails if there is a failure and no patience left.
    async fn wait(&mut self, sequence: u64, failure: Option<Failure>) -> Result<(), Status> {
        let next = self.core.newer_than(sequence);
        let Some(failure) = failure else {
            next.await;
            return Ok(());
        };
        let Some(over) = &mut self.patience else {
            return Err(self.failed(&failure));
        };
        tokio::select! {
            biased;
            () = next => Ok(()),
            () = over => Err(self.failed(&failure)),
        }
    }

    fn failed(&self, failure: &Failure) -> Status {
        self.core.observe(&Event::PickFailed {
            service: &self.core.target,
            result: failure.reason().as_str(),
        });
        failure.to_status()
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
