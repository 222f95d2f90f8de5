//! What a channel makes of the views of its subscription, and what it tells the registry.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http::Request;
use muster_proto::v1;
use muster_proto::v1::RemovalReason as Why;
use muster_proto::v1::SnapshotCause as Cause;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status};
use tower::discover::Change;

use super::fake::{Fake, OpenWatch, What};
use super::watch::{grown, pay, until_view};
use crate::testset::Model;
use crate::tonic_0_14::{
    Channel, ChannelOptions, Connecting, Connector, Discover, Discovered, EndpointKey, debug_page,
    discover,
};
use crate::{Client, InstanceSpec, Reason};

/// Attempts to connect that never end: what is known is all that counts here.
struct Nowhere;

impl Connector for Nowhere {
    fn connect(&self, _key: &EndpointKey, _authority: &str) -> Connecting {
        Box::pin(std::future::pending())
    }
}

fn channel(client: &Client) -> Channel {
    let options = ChannelOptions {
        connector: Arc::new(Nowhere),
        ..ChannelOptions::default()
    };
    Channel::with_options(client, "muster:///shop/pay", options).expect("a channel")
}

async fn watching(fake: &Fake, m: &Model) -> (Client, Channel, OpenWatch) {
    let client = fake.client();
    let channel = channel(&client);
    let stream = fake.next_watch().await;
    stream.open_in(m.epoch, m.view_id).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    (client, channel, stream)
}

/// Waits until the channel has exactly these addresses.
async fn shows(channel: &Channel, want: &[&str]) {
    let until = channel.until(|endpoints| {
        let addresses: Vec<_> = endpoints.iter().map(|e| &*e.key.address).collect();
        addresses == want
    });
    let shown = timeout(Duration::from_secs(60), until).await;
    shown.unwrap_or_else(|_| panic!("{want:?} wanted: {:?}", channel.endpoints()));
}

async fn failure(channel: &Channel) -> Status {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = "/t/echo".parse().expect("a path");
    let answer = channel.clone().call(request).await;
    answer.map(|_| ()).expect_err("a failure")
}

fn acks(w: &What) -> Option<v1::AckWatchRequest> {
    match w {
        What::AckWatch(r) => Some(r.clone()),
        _ => None,
    }
}

fn asking(mut d: v1::Delta) -> v1::Delta {
    let header = d.header.as_mut().expect("a header");
    header.ack_request = Some(v1::AckRequest { ack_spread_ms: 0 });
    d
}

/// The model one revision later, without an instance.
fn shrunk(m: &Model, id: &str) -> Model {
    let mut next = m.clone();
    next.revision += 1;
    next.instances.remove(id);
    next
}

#[tokio::test(start_paused = true)]
async fn channel_follows_its_service() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a", "b"]);
    let (client, channel, stream) = watching(&fake, &m).await;
    shows(&channel, &["a.test:80", "b.test:80"]).await;
    let second = grown(&m, "c");
    stream.delta(second.delta_from(&m, Why::Expired)).await;
    shows(&channel, &["a.test:80", "b.test:80", "c.test:80"]).await;
    let third = shrunk(&second, "a");
    stream.delta(third.delta_from(&second, Why::Expired)).await;
    shows(&channel, &["b.test:80", "c.test:80"]).await;
    // What is known is used as long as nothing better is.
    client.close().await;
    shows(&channel, &["b.test:80", "c.test:80"]).await;
    let error = Channel::new(&client, "muster:///shop/pay").expect_err("closed");
    assert_eq!(error.reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn debug_page_tells_of_everything() {
    let fake = Fake::new(1);
    let mut m = Model::with(1, 10, &["a", "b"]);
    let b = m.instances.get_mut("b").expect("b");
    b.lifecycle = v1::Lifecycle::Starting as i32;
    let (client, channel, stream) = watching(&fake, &m).await;
    shows(&channel, &["a.test:80"]).await;
    let cart = InstanceSpec::new("shop", "cart").id("cart-1");
    let registration = client.register([cart]).await.expect("registered");
    sleep(Duration::from_secs(1)).await;
    let lease = registration.status().lease;
    assert_eq!(
        debug_page(&client),
        format!(
            "client test-client: server s0:7070, cluster c1\n\
             registration shop/cart/cart-1: ACTIVE, lease {lease}\n\
             view shop/pay: PRESENT, 2 instances, FRESH, 1s old, from REGISTRY, epoch 1, revision 10\n\
             channel shop/pay, epoch 1, revision 10: 1 of 1 healthy\n\
             a a.test:80 PICKED weight=6553600 in_flight=0 CONNECTING\n\
             b b.test:80 STARTING weight=0 in_flight=0\n"
        )
    );
    let other = Client::fixed([]).build().expect("a client");
    assert_eq!(debug_page(&other), "client: no registry\n");
    fake.place(0).stop();
    drop(stream);
    sleep(Duration::from_secs(5)).await;
    channel.close(Duration::ZERO).await;
    let page = debug_page(&client);
    let outage = "\noutage: no registry server reachable: s0:7070 (connection refused); ";
    assert!(page.contains(outage) && !page.contains("channel"), "{page}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn drains_wait_for_the_channel() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a", "b"]);
    let (client, channel, stream) = watching(&fake, &m).await;
    shows(&channel, &["a.test:80", "b.test:80"]).await;
    let second = shrunk(&m, "a");
    stream
        .delta(asking(second.delta_from(&m, Why::Deregistered)))
        .await;
    let ack = fake.next_call(acks).await;
    assert_eq!(ack.revision, 11);
    let addresses: Vec<_> = channel
        .endpoints()
        .into_iter()
        .map(|e| e.key.address)
        .collect();
    assert_eq!(
        addresses,
        ["b.test:80".into()],
        "acknowledged before it was applied"
    );
    // A channel that is gone is waited for no more.
    let sub = client.subscribe(pay()).expect("subscribed");
    drop(channel);
    let third = shrunk(&second, "b");
    stream
        .delta(asking(third.delta_from(&second, Why::Deregistered)))
        .await;
    assert_eq!(fake.next_call(acks).await.revision, 12);
    until_view(&sub, |view| view.position().revision == 12).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn calls_fail_with_the_reason_of_the_view() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, channel, stream) = watching(&fake, &m).await;
    shows(&channel, &["a.test:80"]).await;
    let second = shrunk(&m, "a");
    stream.delta(second.delta_from(&m, Why::Expired)).await;
    shows(&channel, &[]).await;
    let status = failure(&channel).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status
            .message()
            .starts_with("shop/pay has no instances: the last one expired (a, revision 11)"),
        "{status}"
    );
    assert!(status.message().ends_with("[NO_INSTANCES]"), "{status}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn calls_fail_with_the_reason_of_a_refusal() {
    let fake = Fake::new(1);
    let client = fake.client();
    let channel = channel(&client);
    let stream = fake.next_watch().await;
    let refusal = v1::OpenedSubscription {
        subscription_id: stream.request.subscriptions[0].subscription_id,
        refusal: Some(v1::Refusal {
            reason: v1::ErrorReason::Forbidden as i32,
            message: "not yours".into(),
        }),
        ..Default::default()
    };
    stream
        .opened(v1::Opened {
            stream_id: "stream-1".into(),
            subscriptions: vec![refusal],
            ..Default::default()
        })
        .await;
    let status = failure(&channel).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().ends_with("[FORBIDDEN]"), "{status}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn discovery_inserts_an_endpoint_once_and_removes_what_is_gone() {
    let fake = Fake::new(1);
    let client = fake.client();
    let subscription = client.subscribe(pay()).expect("a subscription");
    let options = ChannelOptions {
        connector: Arc::new(Nowhere),
        ..ChannelOptions::default()
    };
    let mut discovery = discover(&subscription, options);
    let stream = fake.next_watch().await;
    let m = Model::with(1, 10, &["a", "b"]);
    stream.open_in(m.epoch, m.view_id).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    let mut services = Vec::new();
    for want in ["a.test:80", "b.test:80"] {
        match next(&mut discovery).await {
            Change::Insert(key, service) => {
                assert_eq!(&*key.address, want);
                services.push(service);
            }
            Change::Remove(key) => panic!("{key} was removed"),
        }
    }
    // One changes and one is added: only the new one is announced.
    let mut second = grown(&m, "c");
    let changed = second.instances.get_mut("a").expect("the instance");
    (changed.weight, changed.modify_revision) = (Some(7), second.revision);
    stream.delta(second.delta_from(&m, Why::Expired)).await;
    assert!(
        matches!(next(&mut discovery).await, Change::Insert(key, _) if &*key.address == "c.test:80")
    );
    assert_eq!(services[0].endpoint().weight, 7);
    let third = shrunk(&second, "a");
    stream.delta(third.delta_from(&second, Why::Expired)).await;
    assert!(
        matches!(next(&mut discovery).await, Change::Remove(key) if &*key.address == "a.test:80")
    );
    // Whoever still holds it reaches nobody.
    let answer = services[0].call(Request::new(Body::empty())).await;
    let status = answer.map(|_| ()).expect_err("a failure");
    assert_eq!(status.code(), Code::Unavailable);
    client.close().await;
    assert!(discovery.next().await.is_none());
}

async fn next(discovery: &mut Discover) -> Change<EndpointKey, Discovered> {
    let next = timeout(Duration::from_secs(60), discovery.next()).await;
    next.expect("a change")
        .expect("no end")
        .unwrap_or_else(|never| match never {})
}
