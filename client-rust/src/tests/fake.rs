//! A small registry for tests: it grants leases by the contract's rules, records every call, and
//! does what a test scripts. Watch streams are driven by the test, frame by frame.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use muster_proto::v1;
use muster_proto::v1::discovery_service_server::DiscoveryServiceServer;
use muster_proto::v1::registration_service_server::RegistrationServiceServer;
use muster_proto::v1::server_service_server::ServerServiceServer;
use muster_proto::v1::watch_response::Frame;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::transport::Server;

use crate::config::{Dial, Transport};
use crate::status::status_of;
use crate::testing::network::{Dialled, Place, Wire};
use crate::{Client, ClientBuilder};

/// Longer than anything a client may do before giving up, in paused time.
const PATIENCE: Duration = Duration::from_secs(7_200);

/// A call that a server got.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Instant,
    /// Which server, counting from 0.
    pub(crate) server: usize,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a few hundred of them in a test")]
pub(crate) enum What {
    Register(v1::RegisterRequest),
    Update(v1::UpdateRequest),
    Deregister(v1::DeregisterRequest),
    Drain(v1::DrainRequest),
    KeepAlive(v1::KeepAliveRequest),
    KeepAliveOpened,
    KeepAliveHalfClosed,
    KeepAliveBroken,
    Lookup(v1::LookupRequest),
    ListServices(v1::ListServicesRequest),
    Watch(v1::WatchRequest),
    UpdateWatch(v1::UpdateWatchRequest),
    AckWatch(v1::AckWatchRequest),
}

/// What a call is answered with in place of the usual.
pub(crate) enum Scripted {
    Fail(Status),
    /// Does what is usual, but the answer is lost.
    DoThenFail(Status),
    /// Never answers.
    Hang,
    /// Answers after a while.
    Delay(Duration),
}

/// A lease that the registry granted.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) lease: v1::Lease,
    pub(crate) request_id: String,
    pub(crate) instances: Vec<v1::Instance>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) epoch: u64,
    pub(crate) revision: u64,
    pub(crate) leases: BTreeMap<String, Granted>,
    pub(crate) calls: Vec<Call>,
    pub(crate) scripts: BTreeMap<&'static str, VecDeque<Scripted>>,
    /// Leases that a newer one fenced.
    pub(crate) fenced: Vec<String>,
    /// What keepalives are answered with, by server.
    pub(crate) unconfirmed: BTreeMap<usize, Duration>,
    /// Servers that leave keepalives unanswered.
    pub(crate) mute: Vec<usize>,
    pub(crate) lookup: v1::LookupResponse,
    pub(crate) services: Vec<v1::ServiceSummary>,
    pub(crate) drain: v1::DrainResponse,
    pub(crate) cluster_ids: BTreeMap<usize, String>,
    pub(crate) protocols: (u32, u32),
    pub(crate) limits: Option<v1::Limits>,
    pub(crate) metadata: Vec<(String, String)>,
    /// The tokens that are accepted; none for all callers. GetServerInfo needs none.
    pub(crate) accepted: Option<String>,
    /// What servers speak TLS with from now on.
    #[cfg(feature = "tls-ring")]
    pub(crate) tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    /// The weight that was registered or updated last.
    pub(crate) weight: Option<u32>,
    registering: usize,
    /// Two registrations were in flight at once.
    pub(crate) overlapping_registers: bool,
}

/// A registration that is in flight.
pub(crate) struct InFlight(Arc<Shared>);

impl InFlight {
    pub(crate) fn begin(shared: &Arc<Shared>) -> InFlight {
        let mut state = shared.lock();
        state.registering += 1;
        state.overlapping_registers |= state.registering > 1;
        InFlight(shared.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().registering -= 1;
    }
}

/// What all servers of the fake registry share.
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) called: Notify,
    pub(crate) streams: mpsc::Sender<OpenWatch>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    pub(crate) fn record(&self, server: usize, what: What) {
        let at = Instant::now();
        self.lock().calls.push(Call { at, server, what });
        self.called.notify_waiters();
    }
}

/// A registry of any number of servers, named s0, s1 and so on.
pub(crate) struct Fake {
    pub(crate) shared: Arc<Shared>,
    places: Arc<Vec<Arc<Place>>>,
    streams: tokio::sync::Mutex<mpsc::Receiver<OpenWatch>>,
    /// How many random words all clients drew.
    words: Arc<AtomicU64>,
}

impl Fake {
    pub(crate) fn new(servers: usize) -> Fake {
        let (streams, opened) = mpsc::channel(100);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                epoch: 1,
                revision: 10,
                protocols: (1, 1),
                ..Default::default()
            }),
            called: Notify::new(),
            streams,
        });
        Fake {
            shared,
            places: Arc::new((0..servers).map(|_| Arc::default()).collect()),
            streams: tokio::sync::Mutex::new(opened),
            words: Arc::default(),
        }
    }

    /// A client of this registry whose random words are all the middle one.
    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("a client")
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        let servers: Vec<String> = (0..self.places.len())
            .map(|i| format!("s{i}:7070"))
            .collect();
        let words = self.words.clone();
        Client::builder(servers)
            .name("test-client")
            .in_order()
            .with_dial(self.dialler())
            // Distinct, and in the middle of every range.
            .words(Arc::new(move || {
                (u64::MAX / 2) ^ words.fetch_add(1, Ordering::Relaxed)
            }))
    }

    fn dialler(&self) -> Dial {
        let places = self.places.clone();
        let shared = self.shared.clone();
        Arc::new(move |address: String| {
            let index: usize = address
                .trim_start_matches('s')
                .trim_end_matches(":7070")
                .parse()
                .expect("an address of the fake");
            let dialled = places[index].dial();
            let shared = shared.clone();
            Box::pin(async move {
                match dialled? {
                    Dialled::Both(client, wire) => {
                        tokio::spawn(serve(wire, shared, index));
                        Ok(Box::new(client) as Box<dyn Transport>)
                    }
                    Dialled::Silent(client, server) => {
                        tokio::spawn(async move {
                            let _open = server;
                            std::future::pending::<()>().await;
                        });
                        Ok(Box::new(client) as Box<dyn Transport>)
                    }
                }
            })
        })
    }

    pub(crate) fn place(&self, index: usize) -> &Place {
        &self.places[index]
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// What the next call of this name is answered with.
    pub(crate) fn script(&self, method: &'static str, scripted: Scripted) {
        self.lock()
            .scripts
            .entry(method)
            .or_default()
            .push_back(scripted);
    }

    pub(crate) fn fail(&self, method: &'static str, code: tonic::Code, reason: &str) {
        self.script(method, Scripted::Fail(status_of(code, reason, &[], None)));
    }

    /// All calls of this kind so far.
    pub(crate) fn calls<T>(&self, pick: impl Fn(&What) -> Option<T>) -> Vec<T> {
        let state = self.lock();
        state.calls.iter().filter_map(|c| pick(&c.what)).collect()
    }

    /// Waits for a call that was not there when the wait began, and is of this kind.
    pub(crate) async fn next_call<T>(&self, pick: impl Fn(&What) -> Option<T>) -> T {
        let seen = self.lock().calls.len();
        self.until(|s| s.calls[seen..].iter().find_map(|c| pick(&c.what)))
            .await
    }

    /// Waits until the registry's state has something.
    pub(crate) async fn until<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        let wait = async {
            loop {
                let called = self.shared.called.notified();
                tokio::pin!(called);
                called.as_mut().enable();
                if let Some(found) = look(&self.lock()) {
                    return found;
                }
                called.await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it never happened")
    }

    /// Waits for the next watch stream.
    pub(crate) async fn next_watch(&self) -> OpenWatch {
        let mut streams = self.streams.lock().await;
        let opened = timeout(PATIENCE, streams.recv()).await;
        opened.expect("no stream came").expect("the fake lives")
    }

    /// No watch stream is opened within this time.
    pub(crate) async fn no_watch_within(&self, within: Duration) {
        let mut streams = self.streams.lock().await;
        let opened = timeout(within, streams.recv()).await;
        assert!(opened.is_err(), "a stream was opened");
    }

    /// The one lease that lives.
    pub(crate) fn only_lease(&self) -> Granted {
        let state = self.lock();
        assert_eq!(state.leases.len(), 1, "{:?}", state.leases.keys());
        state.leases.values().next().expect("one").clone()
    }

    /// The lease expires.
    pub(crate) fn expire(&self, lease_id: &str) {
        self.lock().leases.remove(lease_id).expect("a lease");
    }
}

async fn serve(wire: Wire, shared: Arc<Shared>, index: usize) {
    #[cfg(feature = "tls-ring")]
    let wire = {
        let tls = shared.lock().tls.clone();
        match tls {
            None => wire,
            Some(tls) => match super::tls::decrypted(wire, tls).await {
                Ok(wire) => wire,
                Err(_) => return, // the client tells why
            },
        }
    };
    let authority = shared.clone();
    let authorize = move |request: tonic::Request<()>| {
        let Some(accepted) = authority.lock().accepted.clone() else {
            return Ok(request);
        };
        let sent = request.metadata().get("authorization");
        if sent.is_some_and(|s| s == format!("Bearer {accepted}").as_str()) {
            return Ok(request);
        }
        let code = tonic::Code::Unauthenticated;
        Err(status_of(code, "UNAUTHENTICATED", &[], None))
    };
    let service = super::fake_services::FakeServer { shared, index };
    let incoming = futures_util::stream::iter([Ok::<_, io::Error>(wire)]);
    let result = Server::builder()
        .add_service(RegistrationServiceServer::with_interceptor(
            service.clone(),
            authorize.clone(),
        ))
        .add_service(DiscoveryServiceServer::with_interceptor(
            service.clone(),
            authorize,
        ))
        .add_service(ServerServiceServer::new(service))
        .serve_with_incoming(incoming.chain(futures_util::stream::pending()))
        .await;
    result.expect("the fake serves");
}

/// A watch stream that a client opened and the test drives.
pub(crate) struct OpenWatch {
    pub(crate) server: usize,
    pub(crate) request: v1::WatchRequest,
    pub(crate) frames: mpsc::Sender<Result<v1::WatchResponse, Status>>,
}

impl OpenWatch {
    async fn frame(&self, frame: Frame) {
        let response = v1::WatchResponse { frame: Some(frame) };
        self.frames
            .send(Ok(response))
            .await
            .expect("the client reads");
    }

    /// Answers all subscriptions with this view, in epoch 1.
    pub(crate) async fn open(&self, view_id: u64) {
        self.open_in(1, view_id).await;
    }

    pub(crate) async fn open_in(&self, epoch: u64, view_id: u64) {
        let subscriptions = self.request.subscriptions.iter();
        self.opened(v1::Opened {
            stream_id: "stream-1".into(),
            cluster_id: "c1".into(),
            epoch,
            limits: None,
            subscriptions: subscriptions
                .map(|s| answer(s.subscription_id, view_id))
                .collect(),
        })
        .await;
    }

    pub(crate) async fn opened(&self, opened: v1::Opened) {
        self.frame(Frame::Opened(opened)).await;
    }

    pub(crate) async fn snapshot(&self, s: v1::Snapshot) {
        self.frame(Frame::Snapshot(s)).await;
    }

    pub(crate) async fn delta(&self, d: v1::Delta) {
        self.frame(Frame::Delta(d)).await;
    }

    pub(crate) async fn progress(&self, p: v1::Progress) {
        self.frame(Frame::Progress(p)).await;
    }

    /// Ends the stream with an error.
    pub(crate) async fn fail(&self, status: Status) {
        self.frames
            .send(Err(status))
            .await
            .expect("the client reads");
    }

    /// Waits until the client left the stream.
    pub(crate) async fn left(&self) {
        timeout(PATIENCE, self.frames.closed())
            .await
            .expect("the client never left");
    }

    pub(crate) fn resume(&self) -> Option<v1::KnownView> {
        self.request.subscriptions[0].resume
    }
}

pub(crate) fn answer(subscription_id: u32, view_id: u64) -> v1::OpenedSubscription {
    v1::OpenedSubscription {
        subscription_id,
        view_id,
        refusal: None,
        forbidden: vec![],
    }
}
