//! Peers that allow few streams at once.

use std::sync::atomic::Ordering;

use tonic::Code;

use super::client::{Client, Source, idle, in_use, soon};
use super::loopback::Server;
use super::memory::{Does, Net, Peer};

#[tokio::test(start_paused = true)]
async fn only_what_the_peer_has_can_be_lost() {
    let net = Net::default();
    let narrow = net.peer("a:1", Peer::new("a", Does::Hangs).streams(4));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Client::new(&channel);
            tokio::spawn(async move { client.unary("/t/echo", "x").await })
        })
        .collect();
    narrow.requested(4).await;
    net.peer("b:1", Peer::new("b", Does::Echoes));
    source.weigh(&[("a:1", 1), ("b:1", 1)]);
    in_use(&channel, 2).await;
    assert_eq!(narrow.most_open.load(Ordering::SeqCst), 4);
    assert_eq!(narrow.requests().len(), 4);
    narrow.kill();
    let mut lost = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => assert_eq!(answer, "xb"),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable);
                lost += 1;
            }
        }
    }
    assert_eq!(lost, 4);
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_at_an_endpoint_that_is_drained_go_elsewhere_at_once() {
    those_who_wait_go_elsewhere(&[("a:1", 0), ("b:1", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_at_an_endpoint_that_is_removed_go_elsewhere_at_once() {
    those_who_wait_go_elsewhere(&[("b:1", 1)]).await;
}

/// A call waits for room at the first endpoint, when the set becomes this.
async fn those_who_wait_go_elsewhere(set: &[(&str, u32)]) {
    let net = Net::default();
    let narrow = net.peer("a:1", Peer::new("a", Does::Starts).streams(1));
    net.peer("b:1", Peer::new("b", Does::Echoes));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", tonic::Request::new("x".into()))
        .await
        .unwrap();
    let mut waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.unary("/t/echo", "x").await });
    tokio::task::yield_now().await;
    source.weigh(&[("a:1", 1), ("b:1", 1)]);
    in_use(&channel, 2).await;
    source.weigh(set);
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "xb");
    assert_eq!(narrow.requests().len(), 1);
    narrow.finish();
    while stream.message().await.unwrap().is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_tonic_server_serves_all() {
    let server = Server::with_streams(4);
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(Default::default());
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let mut client = Client::new(&channel);
            tokio::spawn(async move { client.unary("/t/echo", "x").await })
        })
        .collect();
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap(), "x");
    }
    idle(&channel).await;
}
