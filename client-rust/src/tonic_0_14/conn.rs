//! One HTTP/2 connection: opening it, sending on it, driving it to its end.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{Connection, ResponseFuture, SendRequest};
use http::Request;
use tokio::time::sleep;

use super::connect::{Connector, Io};
use super::endpoint::EndpointKey;
use super::lane::Lane;
use super::wire::{Watched, Wire};

/// What a peer may have in flight towards us, per stream and per connection: enough for 3 Gbit/s
/// at 5 ms, bounded for readers that stall.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;
/// The bytes of one stream that h2 holds before the request body has to wait.
const SEND_BUFFER: usize = 1 << 20;
/// The size of response headers that is accepted.
const HEADER_LIST: u32 = 16 << 10;
/// What h2 believes to be the peer's limit until the peer's settings have arrived. No peer can
/// say this number: it takes 32 bits, or none for "no limit", which h2 shows as `usize::MAX`.
const NO_SETTINGS_YET: usize = usize::MAX - 1;

/// What a connection gets from its endpoint and its channel.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) key: EndpointKey,
    pub(crate) authority: Arc<str>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) in_flight: Arc<AtomicU64>,
}

/// The sending end of a connection. When all of them are dropped, the connection closes as soon
/// as its last stream has ended.
pub(crate) struct Conn {
    pub(crate) lane: Arc<Lane>,
    sender: SendRequest<Bytes>,
}

/// A request that could not be sent. Nothing of it has left.
pub(crate) enum Unsent {
    /// The connection takes no requests; another may.
    Shut,
    /// HTTP/2 does not allow the request itself.
    Malformed(h2::Error),
}

impl Conn {
    /// Hands a request to the connection. Does not wait; take a
    /// [`Place`](super::lane::Place) first.
    pub(crate) fn send(
        &self,
        request: Request<()>,
        end_of_stream: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Unsent> {
        let Some(_pass) = self.lane.gate.enter() else {
            return Err(Unsent::Shut);
        };
        let mut sender = self.sender.clone();
        // Never pending, since a fresh clone has queued nothing; an error here is the connection's
        // own: it is lost, or out of stream ids.
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(Err(_)) = sender.poll_ready(&mut cx) {
            self.lane.retire();
            return Err(Unsent::Shut);
        }
        sender
            .send_request(request, end_of_stream)
            .map_err(|error| {
                if error.is_io() || error.reason().is_some() {
                    self.lane.retire();
                    return Unsent::Shut;
                }
                Unsent::Malformed(error)
            })
    }
}

/// Moves a connection's bytes. Must be polled until it is ready: the connection has ended then.
pub(crate) struct Driver {
    connection: Connection<Watched, Bytes>,
    lane: Arc<Lane>,
    limit: usize,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let ended = Pin::new(&mut this.connection).poll(cx);
        if let Poll::Ready(result) = ended {
            this.lane.wire.ends(match result {
                Ok(()) => "closed".to_owned(),
                Err(error) => error.to_string(),
            });
            this.lane.retire();
            return Poll::Ready(());
        }
        let limit = this.connection.max_concurrent_send_streams();
        if limit != this.limit {
            this.limit = limit;
            this.lane.quota.resize(limit);
        }
        if this.lane.wire.is_leaving() && !this.lane.gate.is_gone() {
            this.lane.retire();
        }
        Poll::Pending
    }
}

impl Drop for Driver {
    /// A driver that is dropped takes its connection along.
    fn drop(&mut self) {
        self.lane.wire.ends("closed");
        self.lane.retire();
    }
}

/// Opens a connection and returns once the peer has spoken HTTP/2: a server that merely accepts
/// is not ready. The error tells the cause, not the address.
pub(crate) async fn open(origin: Origin, limit: Duration) -> Result<(Conn, Driver), String> {
    let ms = limit.as_millis();
    // One timer for both parts. It takes any limit; adding to an instant would not.
    let mut over = pin!(sleep(limit));
    let connecting = origin.connector.connect(&origin.key, &origin.authority);
    let io = tokio::select! {
        biased;
        io = connecting => io.map_err(|error| error.to_string())?,
        () = &mut over => return Err(format!("not connected within {ms} ms")),
    };
    tokio::select! {
        biased;
        opened = speak(origin, io) => opened,
        () = over => Err(format!(
            "connected, but the peer sent no HTTP/2 settings within {ms} ms"
        )),
    }
}

/// Exchanges settings with the peer.
async fn speak(origin: Origin, io: Io) -> Result<(Conn, Driver), String> {
    let wire = Arc::new(Wire::default());
    let watched = Watched::new(io, Arc::clone(&wire));
    let (sender, mut connection) = builder()
        .handshake::<_, Bytes>(watched)
        .await
        .map_err(|error| error.to_string())?;
    let limit = settings(&mut connection, &wire).await?;
    let lane = Arc::new(Lane::new(origin.key, wire, limit, origin.in_flight));
    let driver = Driver {
        connection,
        lane: Arc::clone(&lane),
        limit,
    };
    Ok((Conn { lane, sender }, driver))
}

fn builder() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST)
        .initial_max_send_streams(NO_SETTINGS_YET)
        .enable_push(false);
    builder
}

/// Waits for the peer's settings and returns the number of streams that they allow.
async fn settings(
    connection: &mut Connection<Watched, Bytes>,
    wire: &Wire,
) -> Result<usize, String> {
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
            let cause = match result {
                Err(error) if !error.is_io() => error.to_string(),
                _ => wire
                    .cause()
                    .unwrap_or_else(|| "closed by the peer".to_owned()),
            };
            return Poll::Ready(Err(format!("no HTTP/2 settings from the peer: {cause}")));
        }
        match connection.max_concurrent_send_streams() {
            NO_SETTINGS_YET => Poll::Pending,
            limit => Poll::Ready(Ok(limit)),
        }
    })
    .await
}
