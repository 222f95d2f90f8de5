//! The only endpoint restarts.

use std::time::Duration;

use muster_client::tonic_0_14::WaitForReady;
use tokio::time::Instant;
use tonic::{Code, Request};

use super::client::{Client, Source, idle, in_use, soon};
use super::loopback::Server;
use super::memory::{Does, Host, Net, Peer};

fn patient(limit: Duration) -> Request<bytes::Bytes> {
    let mut request = Request::new("x".into());
    request.extensions_mut().insert(WaitForReady::up_to(limit));
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_survive_it() {
    let server = Server::start();
    let source = Source::of(&[&server.address()]);
    let channel = source.channel(Default::default());
    in_use(&channel, 1).await;
    let address = server.kill();
    in_use(&channel, 0).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let mut client = Client::new(&channel);
            let request = patient(Duration::from_secs(20));
            tokio::spawn(async move { client.send("/t/echo", request).await })
        })
        .collect();
    // All of them meet at least one failed attempt.
    let failed = channel.until(|endpoints| endpoints[0].failures >= 2);
    soon(failed).await;
    let _server = Server::start_at(address, None);
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap().into_inner(), "x");
    }
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn patience_has_its_limit() {
    let net = Net::default();
    net.set("a:1", Host::Refuses);
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let began = Instant::now();
    let request = patient(Duration::from_secs(60));
    let status = Client::new(&channel)
        .send("/t/echo", request)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("connection refused"), "{status}");
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_long_life_costs_no_call_that_comes_after_it() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Echoes));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    tokio::time::advance(Duration::from_secs(11)).await;
    peer.kill();
    net.attempted("a:1", 2).await;
    for _ in 0..3 {
        assert_eq!(
            Client::new(&channel).unary("/t/echo", "x").await.unwrap(),
            "xa"
        );
    }
    assert_eq!(net.attempts("a:1").len(), 2);
}
