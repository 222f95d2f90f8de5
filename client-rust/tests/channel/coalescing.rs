//! When calls learn that connections have come or gone, under paused time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use muster_client::tonic_0_14::{Channel, Phase};
use tokio::time::{Instant, advance};

use super::client::{Client, Source, soon};
use super::memory::{Does, Net, Peer};

/// Waits until no task has anything to do at this time.
async fn quiet() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

fn connected(channel: &Channel) -> usize {
    let all = channel.endpoints();
    all.iter().filter(|e| e.phase == Phase::Ready).count()
}

/// Who answers calls.
async fn spread(channel: &Channel) -> BTreeMap<Bytes, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..50 {
        let name = soon(Client::new(channel).unary("/t/echo", "")).await;
        *counts.entry(name.unwrap()).or_default() += 1;
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn gained_connections_wait_for_others() {
    let net = Net::default();
    for name in ["a", "b", "c"] {
        net.peer(&format!("{name}:1"), Peer::new(name, Does::Echoes));
    }
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    quiet().await;
    source.weigh(&[("a:1", 1), ("b:1", 1)]);
    quiet().await;
    assert_eq!(connected(&channel), 2);
    let began = Instant::now();
    assert_eq!(spread(&channel).await, [("a".into(), 50)].into());
    assert_eq!(began.elapsed(), Duration::ZERO);
    advance(Duration::from_millis(5)).await;
    quiet().await;
    assert_eq!(spread(&channel).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_and_lost_ones_wait_for_nothing() {
    let net = Net::default();
    let peers = ["a", "b"].map(|name| {
        let peer = Peer::new(name, Does::Echoes);
        net.peer(&format!("{name}:1"), peer)
    });
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    let began = Instant::now();
    spread(&channel).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    advance(Duration::from_millis(5)).await;
    quiet().await;
    assert_eq!(spread(&channel).await.len(), 2);
    let looking = channel.clone();
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let task = tokio::spawn(async move {
        let never = looking.until(|_| {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        });
        never.await;
    });
    quiet().await;
    peers[0].kill();
    quiet().await;
    assert_eq!(looks.load(Ordering::Relaxed), 2, "one table for the loss");
    task.abort();
    let began = Instant::now();
    assert_eq!(spread(&channel).await, [("b".into(), 50)].into());
    assert_eq!(began.elapsed(), Duration::ZERO);
}
