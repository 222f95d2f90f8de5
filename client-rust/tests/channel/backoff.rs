//! When an endpoint is dialled, under paused time.

use std::time::Duration;

use muster_client::tonic_0_14::{Endpoint, Phase};
use tokio::time::Instant;
use tonic::Code;

use super::client::{Client, Source, in_use};
use super::memory::{Does, Host, Net, Peer};

fn gaps(attempts: &[Instant]) -> Vec<u128> {
    attempts
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn refused_connections_are_tried_with_growing_jittered_delays() {
    let net = Net::default();
    net.set("a:1", Host::Refuses);
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    net.attempted("a:1", 40).await;
    let gaps = gaps(&net.attempts("a:1"));
    for (index, &gap) in gaps.iter().enumerate() {
        let limit = (200u128 << index.min(10)).min(5000);
        // A timer may be a millisecond late.
        assert!(
            (50..=limit + 1).contains(&gap),
            "gap {index}: {gap} ms of {limit}"
        );
    }
    let late = &gaps[5..];
    let mean = late.iter().sum::<u128>() / late.len() as u128;
    assert!((1500..=3500).contains(&mean), "mean {mean} of 0 to 5000 ms");
    assert!(channel.endpoints()[0].failures >= 39);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_never_speaks_is_never_ready() {
    let net = Net::default();
    net.set("a:1", Host::Silent);
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let began = Instant::now();
    let status = Client::new(&channel)
        .unary("/t/echo", "x")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status
            .message()
            .contains("a:1: connected, but the peer sent no HTTP/2 settings within 3000 ms"),
        "{status}"
    );
    let waited = began.elapsed().as_millis();
    assert!((3000..=3001).contains(&waited), "{waited} ms");
    assert_eq!(channel.endpoints()[0].phase, Phase::Backoff);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_swallowed_ends_after_three_seconds() {
    let net = Net::default();
    net.set("a:1", Host::Swallows);
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let status = Client::new(&channel)
        .unary("/t/echo", "x")
        .await
        .unwrap_err();
    assert!(
        status
            .message()
            .contains("a:1: not connected within 3000 ms"),
        "{status}"
    );
}

#[tokio::test(start_paused = true)]
async fn another_process_at_the_address_is_dialled_at_once() {
    let net = Net::default();
    net.set("a:1", Host::Refuses);
    let source = Source::unknown();
    let mut endpoint = Endpoint::plaintext("a:1", 1);
    source.show(vec![endpoint.clone()]);
    let channel = source.channel(net.options());
    net.attempted("a:1", 12).await;
    net.peer("a:1", Peer::new("a", Does::Echoes));
    endpoint.generation = 7;
    let renewed = Instant::now();
    source.show(vec![endpoint]);
    in_use(&channel, 1).await;
    assert_eq!(renewed.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_at_the_last_process_is_given_up_for_the_next() {
    let net = Net::default();
    net.set("a:1", Host::Swallows);
    let source = Source::unknown();
    let mut endpoint = Endpoint::plaintext("a:1", 1);
    source.show(vec![endpoint.clone()]);
    let channel = source.channel(net.options());
    net.attempted("a:1", 1).await;
    net.peer("a:1", Peer::new("a", Does::Echoes));
    endpoint.generation = 7;
    let renewed = Instant::now();
    source.show(vec![endpoint]);
    in_use(&channel, 1).await;
    assert_eq!(renewed.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lived_long_is_replaced_at_once_and_a_short_one_later() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Echoes));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let lost = Instant::now();
    peer.kill();
    net.attempted("a:1", 2).await;
    assert_eq!(lost.elapsed(), Duration::ZERO);
    in_use(&channel, 1).await;

    let lost = Instant::now();
    peer.kill();
    net.attempted("a:1", 3).await;
    let waited = lost.elapsed().as_millis();
    assert!((50..=201).contains(&waited), "{waited} ms");
}
