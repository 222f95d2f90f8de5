//! Which servers are tried, and in which order.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, OpenWatch, What};
use super::registration::{registers, spec};
use crate::status::status_of;
use crate::testset::{Model, VIEW};
use crate::{Client, Selector};

fn pay() -> Selector {
    Selector::service("shop", "pay")
}

async fn answer(stream: &OpenWatch) {
    stream.open(VIEW).await;
    let model = Model::with(1, 10, &["a"]);
    stream
        .snapshot(model.snapshot(muster_proto::v1::SnapshotCause::First))
        .await;
}

/// Serves the stream for as long as the client stays with it.
async fn until_left(stream: OpenWatch) {
    let model = Model::with(1, 10, &["a"]);
    while !stream.frames.is_closed() {
        let progress = model.progress();
        tokio::select! {
            () = stream.progress(progress) => sleep(Duration::from_secs(10)).await,
            () = stream.left() => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn servers_of_the_own_zone_are_tried_first() {
    let fake = Fake::new(2);
    let client = fake
        .builder()
        .servers(["s0:7070@z2", "s1:7070@z1"])
        .locality("r1", "z1")
        .build()
        .expect("a client");
    client.register([spec("pay-1")]).await.expect("registered");
    let _sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    assert_eq!(
        (stream.server, client.status().server.as_str()),
        (1, "s1:7070")
    );
    answer(&stream).await;
    fake.place(1).stop();
    let stream = fake.next_watch().await;
    assert_eq!(
        (stream.server, client.status().server.as_str()),
        (0, "s0:7070")
    );
    answer(&stream).await;
    fake.place(1).start();
    let serving = tokio::spawn(until_left(stream));
    let stream = fake.next_watch().await;
    assert_eq!(stream.server, 1, "it must come back to its zone");
    answer(&stream).await;
    serving.await.expect("joined");
    assert_eq!(client.status().server, "s1:7070");
    let serving = tokio::spawn(until_left(stream));
    let stream = fake.next_watch().await;
    assert_eq!(stream.server, 1, "it is alone in its zone");
    answer(&stream).await;
    serving.await.expect("joined");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn clients_spread_over_servers() {
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        let client = Client::builder(["a:1", "b:1", "c:1"])
            .build()
            .expect("a client");
        seen.insert(client.status().server);
        client.close().await;
    }
    assert_eq!(seen.len(), 3, "60 clients begin at {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn locality_of_the_client_is_that_of_its_instances() {
    let fake = Fake::new(1);
    let client = fake
        .builder()
        .locality("r1", "z1")
        .build()
        .expect("a client");
    let other = spec("pay-2").locality("r2", "z2");
    client
        .register([spec("pay-1"), other])
        .await
        .expect("registered");
    let sent = fake.calls(registers).pop().expect("one");
    let places: Vec<String> = sent
        .instances
        .iter()
        .filter_map(|i| i.locality.as_ref())
        .map(|l| format!("{}/{}", l.region, l.zone))
        .collect();
    assert_eq!(places, ["r1/z1", "r2/z2"]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn first_reconnect_is_soon() {
    let fake = Fake::new(1);
    let words = fake.builder().words(std::sync::Arc::new(|| u64::MAX));
    let client = words.build().expect("a client");
    let _sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    answer(&stream).await;
    let began = Instant::now();
    stream
        .fail(status_of(Code::Unavailable, "SHUTTING_DOWN", &[], None))
        .await;
    let _next = fake.next_watch().await;
    assert!(
        began.elapsed() <= Duration::from_millis(105),
        "{:?}",
        began.elapsed()
    );
    let watches = fake.calls(|w| matches!(w, What::Watch(_)).then_some(()));
    assert_eq!(watches.len(), 2);
    client.close().await;
}
