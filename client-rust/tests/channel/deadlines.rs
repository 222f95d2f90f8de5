//! Deadlines bound waiting, answering and streaming alike.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Request};

use super::client::{Client, Source, idle, in_use, within_ms};
use super::memory::{Does, Host, Net, Peer};

#[tokio::test(start_paused = true)]
async fn while_waiting_for_an_endpoint() {
    let net = Net::default();
    net.set("a:1", Host::Swallows);
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let began = Instant::now();
    let status = Client::new(&channel)
        .send("/t/echo", within_ms("x", 50))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        status.message(),
        "deadline of 50ms exceeded: waiting for an endpoint of shop/pay [DEADLINE]"
    );
    assert!(
        (50..=51).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn while_waiting_for_headers() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Hangs));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    let status = Client::new(&channel)
        .send("/t/echo", within_ms("x", 50))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        status.message(),
        "deadline of 50ms exceeded: a:1 had not answered [DEADLINE]"
    );
    idle(&channel).await;
    // The peer's handler ends by the reset, which frees its stream.
    peer.now_does(Does::Echoes);
    assert_eq!(
        Client::new(&channel).unary("/t/echo", "x").await.unwrap(),
        "xa"
    );
}

#[tokio::test(start_paused = true)]
async fn while_reading_the_body() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Starts));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    let began = Instant::now();
    let mut stream = Client::new(&channel)
        .server_streaming("/t/repeat", within_ms("x", 100))
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        status.message(),
        "deadline of 100ms exceeded: the response of a:1 had not ended [DEADLINE]"
    );
    assert!(
        (100..=101).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn servers_are_told_what_is_left() {
    let net = Net::default();
    let peer = net.peer("b:1", Peer::new("b", Does::Echoes));
    let source = Source::unknown();
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let call = tokio::spawn(async move { client.send("/t/echo", within_ms("x", 500)).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    source.weigh(&[("b:1", 1)]);
    call.await.unwrap().unwrap();
    let left = peer.requests()[0].headers()["grpc-timeout"]
        .to_str()
        .unwrap()
        .to_owned();
    let left: u64 = left.strip_suffix('u').unwrap().parse().unwrap();
    assert!((299_000..=300_000).contains(&left), "{left} us");
    // A deadline that nothing was taken from stays as it was written.
    Client::new(&channel)
        .send("/t/echo", within_ms("x", 500))
        .await
        .unwrap();
    assert_eq!(peer.requests()[1].headers()["grpc-timeout"], "500000u");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_the_deadline_itself_does_not_change_the_code() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Ends("1")));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    let mut client = Client::new(&channel);
    // Cancelled by the server's own will: that is what the caller gets.
    let status = client
        .send("/t/echo", within_ms("x", 5000))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
    // Cancelled when the time was over, whoever noticed first.
    let status = client.send("/t/echo", within_ms("x", 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    peer.now_does(Does::Cancels);
    let status = client.send("/t/echo", within_ms("x", 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let status = client
        .send("/t/echo", Request::new("x".into()))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Cancelled, "{status}");
}
