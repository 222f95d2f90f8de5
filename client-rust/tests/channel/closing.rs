//! The end of a channel.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use muster_client::tonic_0_14::WaitForReady;
use tokio::time::Instant;
use tonic::{Code, Request};

use super::client::{Client, Source, idle, in_use, messages, soon, within_ms};
use super::memory::{Does, Host, Net, Peer};

#[tokio::test(start_paused = true)]
async fn closing_waits_for_calls_then_ends_them() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Starts));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    let began = Instant::now();
    let closing = [2, 60].map(|grace| {
        let channel = channel.clone();
        tokio::spawn(async move { channel.close(Duration::from_secs(grace)).await })
    });
    in_use(&channel, 0).await;
    let status = client.unary("/t/echo", "x").await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
    assert_eq!(
        status.message(),
        "the channel to shop/pay is closed [CLOSED]"
    );
    assert!(began.elapsed().is_zero());
    for closing in closing {
        closing.await.unwrap();
    }
    assert!(
        (2000..=2001).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "connection to a:1 lost: closed");
    peer.connected(0).await;
    channel.close(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn closing_with_nothing_open_takes_no_time() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Echoes));
    net.set("b:1", Host::Swallows);
    net.set("c:1", Host::Refuses);
    let source = Source::of(&["a:1", "b:1", "c:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    net.attempted("c:1", 3).await;
    let began = Instant::now();
    channel.close(Duration::from_secs(5)).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    peer.connected(0).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_lets_streams_finish() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Starts));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    drop((channel, client));
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    peer.finish();
    assert_eq!(stream.message().await.unwrap().unwrap(), "two");
    assert!(stream.message().await.unwrap().is_none());
    peer.connected(0).await;
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_call_outlives_its_client() {
    let net = Net::default();
    net.set("a:1", Host::Swallows);
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    drop(channel);
    let call = tokio::spawn(async move { client.unary("/t/echo", "x").await });
    net.attempted("a:1", 1).await;
    net.peer("a:1", Peer::new("a", Does::Echoes));
    net.peer("b:1", Peer::new("b", Does::Echoes));
    source.weigh(&[("b:1", 1)]);
    assert_eq!(soon(call).await.unwrap().unwrap(), "xb");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_channel_lets_go_of_its_source_before_its_streams_end() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Starts));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    drop((channel, client));
    // Whoever feeds it ends then, and no drain waits for it any more.
    soon(source.unused()).await;
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_kept_unread_holds_nothing_once_it_has_ended() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Ends("0")));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let request = Request::new("x".into());
    let stream = Client::new(&channel)
        .server_streaming("/t/repeat", request)
        .await
        .unwrap();
    idle(&channel).await;
    drop(stream);
}

/// Calls are polled by whoever awaits them, also outside of the channel's runtime.
#[test]
fn calls_from_outside_of_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let net = Net::default();
    let source = Source::of(&["a:1"]);
    let channel = runtime.block_on(async {
        net.peer("a:1", Peer::new("a", Does::Echoes));
        source.channel(net.options())
    });
    let mut client = Client::new(&channel);
    let mut patient = within_ms("x", 20_000);
    let wait = WaitForReady::up_to(Duration::from_secs(20));
    patient.extensions_mut().insert(wait);
    let answer = block_on(client.send("/t/echo", patient)).unwrap();
    assert_eq!(answer.into_inner(), "xa");
    let (sender, all) = messages();
    drop(sender);
    assert_eq!(
        block_on(client.client_streaming("/t/total", all)).unwrap(),
        "a"
    );
    block_on(channel.close(Duration::ZERO));
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The least of an executor.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut work = pin!(work);
    loop {
        match work.as_mut().poll(&mut cx) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
