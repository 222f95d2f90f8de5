//! HTTP/2 peers behind pipes.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use muster_client::tonic_0_14::{ChannelOptions, Connecting, Connector, EndpointKey, Io, Stream};
use tokio::io::DuplexStream;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// What happens to an attempt to connect.
#[derive(Clone)]
pub(crate) enum Host {
    Refuses,
    /// The attempt never ends.
    Swallows,
    /// Accepts, and says nothing.
    Silent,
    Peer(Arc<Peer>),
}

/// The hosts that there are, and the attempts to reach them.
#[derive(Clone, Default)]
pub(crate) struct Net(Arc<Inner>);

#[derive(Default)]
struct Inner {
    hosts: Mutex<HashMap<String, Host>>,
    attempts: Mutex<Vec<(String, Instant)>>,
    attempted: Notify,
    silent: Mutex<Vec<DuplexStream>>,
}

impl Net {
    pub(crate) fn options(&self) -> ChannelOptions {
        ChannelOptions {
            connector: Arc::new(self.clone()),
            ..ChannelOptions::default()
        }
    }

    pub(crate) fn set(&self, address: &str, host: Host) {
        self.0
            .hosts
            .lock()
            .unwrap()
            .insert(address.to_owned(), host);
    }

    /// Puts a peer at an address.
    pub(crate) fn peer(&self, address: &str, peer: Peer) -> Arc<Peer> {
        let peer = Arc::new(peer);
        self.set(address, Host::Peer(Arc::clone(&peer)));
        peer
    }

    /// When an address was dialled.
    pub(crate) fn attempts(&self, address: &str) -> Vec<Instant> {
        let attempts = self.0.attempts.lock().unwrap();
        attempts
            .iter()
            .filter(|(to, _)| to == address)
            .map(|&(_, at)| at)
            .collect()
    }

    /// Waits until an address was dialled this many times in all.
    pub(crate) async fn attempted(&self, address: &str, count: usize) {
        loop {
            let notified = self.0.attempted.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.attempts(address).len() >= count {
                return;
            }
            notified.await;
        }
    }
}

impl Connector for Net {
    fn connect(&self, key: &EndpointKey, _authority: &str) -> Connecting {
        let address = key.address.to_string();
        self.0
            .attempts
            .lock()
            .unwrap()
            .push((address.clone(), Instant::now()));
        self.0.attempted.notify_waiters();
        let host = self.0.hosts.lock().unwrap().get(&address).cloned();
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            match host.unwrap_or(Host::Refuses) {
                Host::Refuses => Err(io::Error::new(
                    io::ErrorKind::ConnectionRefused,
                    "connection refused",
                )),
                Host::Swallows => std::future::pending().await,
                Host::Silent => {
                    let (ours, theirs) = tokio::io::duplex(1 << 16);
                    inner.silent.lock().unwrap().push(theirs);
                    let io: Io = Box::new(ours);
                    Ok(io)
                }
                Host::Peer(peer) => Ok(peer.accept()),
            }
        })
    }
}

/// What a peer does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Answers with the request's message and its own name.
    Echoes,
    /// Says nothing.
    Hangs,
    /// Sends headers and one message, and says nothing more.
    Starts,
    /// Refuses the stream, as one who has not touched it.
    Refuses,
    /// Resets the stream with CANCEL.
    Cancels,
    /// Ends the call at once with this code, as CANCELLED is 1.
    Ends(&'static str),
    /// Ends the call after one message without trailers.
    EndsWithoutTrailers,
    /// Ends the call after one message with details that are not base64.
    EndsBadly,
    /// The same without a message, all in the headers.
    EndsBadlyAtOnce,
}

/// A server of any number of connections.
pub(crate) struct Peer {
    name: String,
    does: Mutex<Does>,
    builder: h2::server::Builder,
    pipe: usize,
    requests: watch::Sender<Vec<Request<()>>>,
    /// Requests being served.
    open: AtomicUsize,
    pub(crate) most_open: AtomicUsize,
    connections: Mutex<Vec<AbortHandle>>,
    pub(crate) alive: watch::Sender<usize>,
    leave: watch::Sender<usize>,
    /// Lets calls of [`Does::Starts`] end.
    finish: watch::Sender<bool>,
    frozen: watch::Sender<bool>,
}

impl Peer {
    pub(crate) fn new(name: &str, does: Does) -> Self {
        Self {
            name: name.to_owned(),
            does: Mutex::new(does),
            builder: h2::server::Builder::new(),
            pipe: 1 << 20,
            requests: watch::Sender::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            connections: Mutex::default(),
            alive: watch::Sender::new(0),
            leave: watch::Sender::new(0),
            finish: watch::Sender::new(false),
            frozen: watch::Sender::new(false),
        }
    }

    /// Allows no more than this many streams at once.
    pub(crate) fn streams(mut self, max: u32) -> Self {
        self.builder.max_concurrent_streams(max);
        self
    }

    /// Makes the pipes so short that senders have to wait.
    pub(crate) fn pipe(mut self, bytes: usize) -> Self {
        self.pipe = bytes;
        self
    }

    pub(crate) fn now_does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// Lets started answers end well.
    pub(crate) fn finish(&self) {
        self.finish.send_replace(true);
    }

    /// Closes all connections, as the death of a process does.
    pub(crate) fn kill(&self) {
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// Says GOAWAY on all connections: those who are served go on, others are not taken.
    pub(crate) fn leave(&self) {
        self.leave.send_modify(|times| *times += 1);
    }

    pub(crate) fn requests(&self) -> Vec<Request<()>> {
        self.requests.borrow().clone()
    }

    /// How many requests are of a kind.
    pub(crate) fn count(&self, kind: impl Fn(&Request<()>) -> bool) -> usize {
        self.requests
            .borrow()
            .iter()
            .filter(|request| kind(request))
            .count()
    }

    /// Forgets the requests that have come.
    pub(crate) fn forget(&self) {
        self.requests.send_modify(Vec::clear);
    }

    /// Reads no more from its connections, and keeps them.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// Waits until this many requests have come in all.
    pub(crate) async fn requested(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        super::client::soon(requests.wait_for(|all| all.len() >= count))
            .await
            .unwrap();
    }

    /// Waits until there are this many connections.
    pub(crate) async fn connected(&self, count: usize) {
        let mut alive = self.alive.subscribe();
        super::client::soon(alive.wait_for(|&now| now == count))
            .await
            .unwrap();
    }

    fn accept(self: &Arc<Self>) -> Io {
        let (ours, theirs) = tokio::io::duplex(self.pipe);
        self.attach(theirs);
        Box::new(ours)
    }

    /// Serves one more connection.
    pub(crate) fn attach(self: &Arc<Self>, io: impl Stream) {
        let guard = Alive::new(Arc::clone(self));
        let task = tokio::spawn(async move { guard.0.serve(io).await });
        self.connections.lock().unwrap().push(task.abort_handle());
    }

    async fn serve(self: &Arc<Self>, io: impl Stream) {
        let mut leave = self.leave.subscribe();
        leave.mark_unchanged();
        let Ok(mut connection) = self.builder.handshake::<_, Bytes>(io).await else {
            return;
        };
        let mut calls = JoinSet::new();
        let mut frozen = self.frozen.subscribe();
        loop {
            if *frozen.borrow() {
                std::future::pending::<()>().await;
            }
            tokio::select! {
                Ok(()) = frozen.changed() => {}
                request = connection.accept() => match request {
                    Some(Ok((request, respond))) => {
                        let peer = Arc::clone(self);
                        calls.spawn(async move { peer.call(request, respond).await });
                    }
                    _ => return,
                },
                Ok(()) = leave.changed() => connection.graceful_shutdown(),
                Some(_) = calls.join_next() => {}
            }
        }
    }

    async fn call(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let (parts, mut body) = request.into_parts();
        let does = *self.does.lock().unwrap();
        let now = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(now, Ordering::SeqCst);
        self.requests
            .send_modify(|all| all.push(Request::from_parts(parts, ())));
        let message = read(&mut body, does != Does::Echoes).await;
        match does {
            Does::Echoes => answer(
                &mut respond,
                &[&message, self.name.as_bytes()].concat(),
                "0",
            ),
            Does::Ends(code) => end(&mut respond, code),
            Does::Refuses => respond.send_reset(Reason::REFUSED_STREAM),
            Does::Cancels => respond.send_reset(Reason::CANCEL),
            Does::EndsWithoutTrailers => {
                let mut stream = respond.send_response(head(), false).unwrap();
                stream.send_data(frame(b"one"), true).unwrap();
            }
            Does::EndsBadly => answer_badly(&mut respond, true),
            Does::EndsBadlyAtOnce => answer_badly(&mut respond, false),
            Does::Hangs => {
                drop(std::future::poll_fn(|cx| respond.poll_reset(cx)).await);
            }
            Does::Starts => {
                let mut stream = respond.send_response(head(), false).unwrap();
                stream.send_data(frame(b"one"), false).unwrap();
                let mut finish = self.finish.subscribe();
                tokio::select! {
                    _ = std::future::poll_fn(|cx| stream.poll_reset(cx)) => {}
                    _ = finish.wait_for(|&finish| finish) => {
                        drop(stream.send_data(frame(b"two"), false));
                        drop(stream.send_trailers(trailers("0")));
                    }
                }
            }
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Alive(Arc<Peer>);

impl Alive {
    fn new(peer: Arc<Peer>) -> Self {
        peer.alive.send_modify(|alive| *alive += 1);
        Self(peer)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

/// Reads a request's message, or nothing if `leave` says so.
async fn read(body: &mut RecvStream, leave: bool) -> Bytes {
    let mut all = BytesMut::new();
    while !leave && let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        all.put(data);
    }
    if all.len() < 5 {
        Bytes::new()
    } else {
        all.freeze().slice(5..)
    }
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put(message);
    frame.freeze()
}

fn trailers(code: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers
}

fn answer(respond: &mut SendResponse<Bytes>, message: &[u8], code: &'static str) {
    let Ok(mut stream) = respond.send_response(head(), false) else {
        return;
    };
    drop(stream.send_data(frame(message), false));
    drop(stream.send_trailers(trailers(code)));
}

fn end(respond: &mut SendResponse<Bytes>, code: &'static str) {
    let mut response = head();
    response.headers_mut().extend(trailers(code));
    drop(respond.send_response(response, true));
}

fn answer_badly(respond: &mut SendResponse<Bytes>, with_message: bool) {
    let mut all = trailers("5");
    all.insert("grpc-message", HeaderValue::from_static("sorry"));
    all.insert(
        "grpc-status-details-bin",
        HeaderValue::from_static("not base64!"),
    );
    if with_message {
        let mut stream = respond.send_response(head(), false).unwrap();
        stream.send_data(frame(b"one"), false).unwrap();
        stream.send_trailers(all).unwrap();
    } else {
        let mut response = head();
        response.headers_mut().extend(all);
        respond.send_response(response, true).unwrap();
    }
}
