//! What the tests share: a client that speaks the protocol by hand, and short ways to say things.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use muster_proto::v1;
use muster_proto::v1::discovery_service_client::DiscoveryServiceClient;
use muster_proto::v1::registration_service_client::RegistrationServiceClient;
use muster_proto::v1::server_service_client::ServerServiceClient;
use muster_proto::v1::watch_response::Frame;
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::codegen::Service;
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};

use crate::status;
use crate::testing::Registry;
use crate::{Client, Error, InstanceSpec, Selector, Subscription, View};

pub(super) const FIRST_REQUEST: &str = "request-00000001";
pub(super) const SECOND_REQUEST: &str = "request-00000002";
pub(super) const THIRD_REQUEST: &str = "request-00000003";

pub(super) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets everything happen that is about to.
pub(super) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Speaks the protocol by hand.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) registrations: RegistrationServiceClient<tonic::transport::Channel>,
    pub(super) discovery: DiscoveryServiceClient<tonic::transport::Channel>,
    pub(super) server: ServerServiceClient<tonic::transport::Channel>,
}

/// A connector that hands out one connection, once.
struct Once(Option<DuplexStream>);

impl Service<Uri> for Once {
    type Response = TokioIo<DuplexStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        ready(self.0.take().map(TokioIo::new).ok_or_else(broken))
    }
}

impl Raw {
    pub(super) async fn of(r: &Registry) -> Raw {
        let once = Once(Some(r.dial().await.expect("connects")));
        let endpoint = Endpoint::from_static("http://registry.test:7070");
        let channel = endpoint.connect_with_connector(once).await;
        let channel = channel.expect("connects");
        Raw {
            registrations: RegistrationServiceClient::new(channel.clone()),
            discovery: DiscoveryServiceClient::new(channel.clone()),
            server: ServerServiceClient::new(channel),
        }
    }

    pub(super) async fn register(&self, request: v1::RegisterRequest) -> v1::RegisterResponse {
        let answer = self.registrations.clone().register(request).await;
        answer.expect("registers").into_inner()
    }

    /// Registers one instance, and gives the lease.
    pub(super) async fn lease(&self, id: &str) -> String {
        let granted = self.register(registration(FIRST_REQUEST, &[id])).await;
        granted.lease.expect("a lease").lease_id
    }

    /// Opens a stream of one subscription; features are the client's.
    pub(super) async fn watch(&self, features: &str, resume: Option<v1::KnownView>) -> Frames {
        self.watch_selector(features, select_pay(), resume).await
    }

    pub(super) async fn watch_selector(
        &self,
        features: &str,
        selector: v1::Selector,
        resume: Option<v1::KnownView>,
    ) -> Frames {
        let mut request = Request::new(v1::WatchRequest {
            subscriptions: vec![v1::Subscription {
                subscription_id: 1,
                selector: Some(selector),
                resume,
            }],
            ..Default::default()
        });
        let metadata = request.metadata_mut();
        metadata.insert("muster-features", features.parse().expect("ascii"));
        metadata.insert("muster-client-name", "raw".parse().expect("ascii"));
        let stream = self.discovery.clone().watch(request).await;
        let mut frames = Frames {
            stream: stream.expect("a stream").into_inner(),
            opened: v1::Opened::default(),
        };
        frames.opened = match frames.next().await {
            Frame::Opened(opened) => opened,
            other => panic!("the first frame is {other:?}"),
        };
        frames
    }

    pub(super) async fn ack(&self, f: &Frames, revision: u64) {
        let request = v1::AckWatchRequest {
            stream_id: f.opened.stream_id.clone(),
            epoch: 1,
            revision,
            view_ids: vec![],
        };
        let answer = self.discovery.clone().ack_watch(request).await;
        answer.expect("acknowledged");
    }
}

/// A stream that is read by hand.
pub(super) struct Frames {
    stream: Streaming<v1::WatchResponse>,
    pub(super) opened: v1::Opened,
}

impl Frames {
    pub(super) async fn next(&mut self) -> Frame {
        let message = self.stream.message().await.expect("a frame");
        message.expect("the stream goes on").frame.expect("a frame")
    }

    pub(super) async fn snapshot(&mut self, cause: v1::SnapshotCause) -> v1::Snapshot {
        match self.next().await {
            Frame::Snapshot(s) if s.cause() == cause => s,
            other => panic!("{other:?}, want a snapshot {cause:?}"),
        }
    }

    pub(super) async fn delta(&mut self) -> v1::Delta {
        match self.next().await {
            Frame::Delta(d) => d,
            other => panic!("{other:?}, want a delta"),
        }
    }

    pub(super) async fn progress(&mut self) -> v1::Progress {
        match self.next().await {
            Frame::Progress(p) => p,
            other => panic!("{other:?}, want a progress"),
        }
    }
}

/// The reason of an answer; empty if it is no error.
pub(super) fn reason<T>(answer: Result<T, Status>) -> String {
    match answer {
        Ok(_) => String::new(),
        Err(status) => status::error(status, "test", "", "").reason().to_string(),
    }
}

pub(super) fn instance(id: &str) -> v1::Instance {
    v1::Instance {
        namespace: "shop".into(),
        service: "pay".into(),
        instance_id: id.into(),
        endpoints: vec![v1::Endpoint {
            name: "grpc".into(),
            address: "10.0.0.1:8080".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(super) fn registration(request_id: &str, ids: &[&str]) -> v1::RegisterRequest {
    v1::RegisterRequest {
        request_id: request_id.into(),
        instances: ids.iter().map(|id| instance(id)).collect(),
        ..Default::default()
    }
}

pub(super) fn spec(id: &str) -> InstanceSpec {
    InstanceSpec::new("shop", "pay").id(id)
}

pub(super) fn select_pay() -> v1::Selector {
    Selector::service("shop", "pay").to_wire()
}

pub(super) fn known(header: Option<&v1::ViewHeader>) -> v1::KnownView {
    let h = header.expect("a header");
    v1::KnownView {
        epoch: h.epoch,
        revision: h.revision,
        view_id: h.view_id,
        digest: h.digest,
        count: h.count,
    }
}

pub(super) fn subscribe(client: &Client) -> Subscription {
    let sub = client.subscribe(Selector::service("shop", "pay"));
    sub.expect("subscribes")
}

pub(super) fn ids(view: &View) -> Vec<String> {
    let all = view.instances().iter();
    all.map(|i| i.key.instance_id.clone()).collect()
}

pub(super) fn registered(r: &Registry) -> Vec<String> {
    let all = r.instances("shop/pay").into_iter();
    all.map(|i| i.key.instance_id).collect()
}

/// Waits until a subscription shows these instances.
pub(super) async fn reach(
    sub: &mut Subscription,
    within: Duration,
    want: &[&str],
) -> std::sync::Arc<View> {
    let deadline = Instant::now() + within;
    loop {
        let view = sub.view();
        if view.is_received() && ids(&view) == want {
            return view;
        }
        let changed: Result<Result<_, Error>, _> = timeout_at(deadline, sub.changed()).await;
        match changed {
            Ok(view) => drop(view.expect("goes on")),
            Err(_) => panic!("{:?} after {within:?}, want {want:?}", ids(&sub.view())),
        }
    }
}

/// The client found nothing wrong with what it was sent.
pub(super) fn unharmed(client: &Client) {
    let s = client.stats();
    let complaints = s.digest_mismatches + s.violations + s.unverified_views + s.epoch_regressions;
    assert_eq!(complaints, 0, "the client complains: {s:?}");
}
