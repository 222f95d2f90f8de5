//! The end of a channel.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Request};

use super::client::{Client, Source, in_use, soon};
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
