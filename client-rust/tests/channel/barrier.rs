//! What a channel reports as applied holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tonic::Request;

use super::client::{Client, Source, applied, in_use, soon};
use super::memory::{Does, Net, Peer};

/// Removes endpoints from under many callers, again and again: once the set without an endpoint is
/// in force, no request is handed to that endpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_is_sent_to_what_is_gone() {
    let net = Net::default();
    let peers = ["a:1", "b:1"].map(|address| net.peer(address, Peer::new(address, Does::Echoes)));
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (mut client, stop) = (Client::new(&channel), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.unary("/t/echo", "x").await.unwrap();
                }
            })
        })
        .collect();
    for round in 0..40 {
        let (drained, other) = if round % 2 == 0 {
            ("a:1", "b:1")
        } else {
            ("b:1", "a:1")
        };
        let weights: &[(&str, u32)] = if round % 4 < 2 {
            &[(drained, 0), (other, 1)]
        } else {
            &[(other, 1)]
        };
        let generation = source.weigh(weights);
        applied(&channel, generation).await;
        for _ in 0..20 {
            let mut probe = Request::new("x".into());
            probe.metadata_mut().insert("probe", "now".parse().unwrap());
            Client::new(&channel).send("/t/echo", probe).await.unwrap();
        }
        let probes = peers[round % 2].count(|request| request.headers().contains_key("probe"));
        assert_eq!(probes, 0, "round {round}: {drained} got requests");
        peers[(round + 1) % 2].forget();
        source.weigh(&[("a:1", 1), ("b:1", 1)]);
        in_use(&channel, 2).await;
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        soon(worker).await.unwrap();
    }
}
