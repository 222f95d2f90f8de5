//! Peers that say GOAWAY.

use muster_client::tonic_0_14::Endpoint;
use tonic::{Code, Request};

use super::client::{Client, Source, idle, in_use, soon};
use super::loopback::Server;
use super::memory::{Does, Net, Peer};

#[tokio::test(start_paused = true)]
async fn leaves_the_table_without_a_call_and_its_streams_finish() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Starts));
    net.peer("b:1", Peer::new("b", Does::Echoes));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    net.set("a:1", super::memory::Host::Refuses);
    source.weigh(&[("a:1", 1), ("b:1", 1)]);
    in_use(&channel, 2).await;
    peer.leave();
    in_use(&channel, 1).await;
    for _ in 0..4 {
        assert_eq!(client.unary("/t/echo", "x").await.unwrap(), "xb");
    }
    peer.finish();
    assert_eq!(stream.message().await.unwrap().unwrap(), "two");
    assert!(stream.message().await.unwrap().is_none());
    // Nothing is left on it: the connection closes, although the stream is still held.
    peer.connected(0).await;
    idle(&channel).await;
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_opened_beside_the_old_one() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Starts));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    peer.leave();
    // The first connection finishes its stream while the second takes over.
    peer.connected(2).await;
    peer.now_does(Does::Echoes);
    assert_eq!(client.unary("/t/echo", "x").await.unwrap(), "xa");
    peer.finish();
    while stream.message().await.unwrap().is_some() {}
    peer.connected(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_leaves_under_load_and_no_call_fails() {
    let mut servers = vec![Server::start(), Server::start(), Server::start()];
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let source = Source::of(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    let channel = source.channel(Default::default());
    in_use(&channel, 3).await;
    let stop = tokio::sync::watch::Sender::new(false);
    let workers: Vec<_> = (0..32)
        .map(|_| {
            let (mut client, stop) = (Client::new(&channel), stop.subscribe());
            tokio::spawn(async move {
                let mut calls = 0u32;
                while !*stop.borrow() {
                    client.unary("/t/echo", "x").await?;
                    calls += 1;
                }
                Ok::<_, tonic::Status>(calls)
            })
        })
        .collect();
    let mut last = servers.pop().unwrap();
    for revision in 1..=20 {
        let served = last.served() + 200;
        soon(async {
            while last.served() < served {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let address = soon(last.leave()).await;
        in_use(&channel, 2).await;
        last = Server::start_at(address, None);
        // The registry shows the new process, so its address is dialled without delay.
        let mut set: Vec<_> = addresses
            .iter()
            .map(|a| Endpoint::plaintext(a, 1))
            .collect();
        set[2].generation = revision;
        source.show(set);
        in_use(&channel, 3).await;
    }
    stop.send_replace(true);
    for worker in workers {
        assert!(soon(worker).await.unwrap().unwrap() > 0);
    }
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn resets_with_other_reasons_are_the_callers_to_see() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Cancels));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let status = Client::new(&channel)
        .unary("/t/echo", "x")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
    idle(&channel).await;
}
