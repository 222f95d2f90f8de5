//! Sets of endpoints that change.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_client::tonic_0_14::{ChannelOptions, Endpoint, EndpointKey, Protocol};
use tonic::Request;

use super::client::{Client, Source, applied, idle, in_use};
use super::memory::{Does, Net, Peer};

#[tokio::test(start_paused = true)]
async fn requests_follow_weights_and_weights_cost_no_connection() {
    let net = Net::default();
    for name in ["a", "b", "c"] {
        net.peer(&format!("{name}:1"), Peer::new(name, Does::Echoes));
    }
    let source = Source::of(&["a:1", "b:1", "c:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 3).await;
    for (weights, want) in [
        ([1, 1, 1], [100, 100, 100]),
        ([1, 1, 8], [30, 30, 240]),
        ([0, 2, 1], [0, 200, 100]),
        ([1, 1, 0], [150, 150, 0]),
    ] {
        let [a, b, c] = weights;
        let generation = source.weigh(&[("a:1", a), ("b:1", b), ("c:1", c)]);
        applied(&channel, generation).await;
        let mut counts = BTreeMap::<_, u32>::new();
        let mut client = Client::new(&channel);
        for _ in 0..300 {
            *counts
                .entry(client.unary("/t/echo", "").await.unwrap())
                .or_default() += 1;
        }
        for (name, want) in ["a", "b", "c"].into_iter().zip(want) {
            let count = counts.get(name.as_bytes()).copied().unwrap_or_default();
            // Six standard deviations of 300 picks are at most 52.
            let limit = if want % 300 == 0 { 0 } else { 52 };
            assert!(count.abs_diff(want) <= limit, "{weights:?}: {counts:?}");
        }
    }
    for name in ["a", "b", "c"] {
        assert_eq!(net.attempts(&format!("{name}:1")).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_endpoint_finishes_its_streams_then_closes() {
    let net = Net::default();
    let gone = net.peer("a:1", Peer::new("a", Does::Starts));
    net.peer("b:1", Peer::new("b", Does::Echoes));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    let generation = source.weigh(&[("b:1", 1)]);
    applied(&channel, generation).await;
    assert_eq!(channel.endpoints().len(), 1);
    assert_eq!(client.unary("/t/echo", "x").await.unwrap(), "xb");
    assert_eq!(*gone.alive.borrow(), 1);
    gone.finish();
    assert_eq!(stream.message().await.unwrap().unwrap(), "two");
    assert!(stream.message().await.unwrap().is_none());
    gone.connected(0).await;
    assert_eq!(net.attempts("a:1").len(), 1, "dialled after its removal");
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_returns_gets_a_connection_of_its_own() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Echoes));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    source.weigh(&[]);
    in_use(&channel, 0).await;
    source.weigh(&[("a:1", 1)]);
    in_use(&channel, 1).await;
    assert_eq!(
        Client::new(&channel).unary("/t/echo", "x").await.unwrap(),
        "xa"
    );
    assert_eq!(net.attempts("a:1").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn instances_behind_one_address_share_its_connection() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Echoes));
    let source = Source::unknown();
    source.show(vec![
        Endpoint::plaintext("a:1", 2),
        Endpoint::plaintext("a:1", 3),
    ]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    let endpoints = channel.endpoints();
    assert_eq!((endpoints.len(), endpoints[0].weight), (1, 5 << 16));
    assert_eq!(net.attempts("a:1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_carry_the_authority_of_their_endpoint() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Echoes));
    let source = Source::unknown();
    let channel = source.channel(ChannelOptions {
        authority: None,
        ..net.options()
    });
    let named = EndpointKey {
        protocol: Protocol::H2c,
        address: "a:1".into(),
        server_name: Some("pay.example".into()),
        authority: None,
    };
    let own: Arc<str> = "pay.internal:443".into();
    let mut plain = Endpoint::plaintext("a:1", 1);
    let mut cases = vec![(plain.clone(), "pay.shop")];
    plain.key.authority = Some(Arc::clone(&own));
    cases.push((plain.clone(), "pay.internal:443"));
    plain.key.authority = None;
    plain.key = named;
    cases.push((plain.clone(), "pay.example"));
    plain.key.authority = Some("not an authority".into());
    cases.push((plain, "pay.shop"));
    for (index, (endpoint, want)) in cases.into_iter().enumerate() {
        let generation = source.show(vec![endpoint]);
        applied(&channel, generation).await;
        Client::new(&channel).unary("/t/echo", "x").await.unwrap();
        let request = &peer.requests()[index];
        assert_eq!(request.uri().authority().unwrap().as_str(), want);
        assert_eq!(request.uri().scheme_str(), Some("http"));
        assert_eq!(request.headers()["te"], "trailers");
        let agent = request.headers()["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("muster-client-rust/"), "{agent}");
    }
    // What the client was given by its user stays.
    let mut client = Client::new(&channel);
    client.0 = tonic::client::Grpc::with_origin(channel.clone(), "http://mine".parse().unwrap());
    client.unary("/t/echo", "x").await.unwrap();
    let last = peer.requests().pop().unwrap();
    assert_eq!(last.uri().authority().unwrap().as_str(), "mine");
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn the_last_set_outlives_its_source() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::Echoes));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    drop(source);
    for _ in 0..3 {
        assert_eq!(
            Client::new(&channel).unary("/t/echo", "x").await.unwrap(),
            "xa"
        );
    }
}
