//! More selectors than one stream takes.

use std::collections::BTreeMap;
use std::time::Duration;

use muster_proto::v1;
use tokio::time::sleep;

use super::fake::{Fake, OpenWatch};
use super::watch::until_view;
use crate::testset::Model;
use crate::{Client, Reason, Selector, Subscription};

/// Makes the fake's servers take so many subscriptions on a stream.
fn limit(fake: &Fake, per_stream: u32) {
    fake.lock().limits = Some(v1::Limits {
        subscriptions_per_stream: per_stream,
        ..Default::default()
    });
}

fn subscribe_to(client: &Client, n: usize) -> Vec<Subscription> {
    (0..n)
        .map(|i| {
            let selector = Selector::service("shop", format!("s{i:04}"));
            client.subscribe(selector).expect("subscribed")
        })
        .collect()
}

/// Answers each subscription of a stream with an empty view of its own, and returns their number.
async fn answer(stream: &OpenWatch) -> usize {
    let ids: Vec<u32> = stream
        .request
        .subscriptions
        .iter()
        .map(|s| s.subscription_id)
        .collect();
    stream
        .opened(v1::Opened {
            stream_id: format!("stream-{}", ids[0]),
            cluster_id: "c1".into(),
            epoch: 1,
            limits: None,
            subscriptions: ids
                .iter()
                .map(|id| super::fake::answer(*id, u64::from(*id)))
                .collect(),
        })
        .await;
    for id in &ids {
        let mut model = Model::with(1, 10, &[]);
        model.view_id = u64::from(*id);
        stream
            .snapshot(model.snapshot(v1::SnapshotCause::First))
            .await;
    }
    ids.len()
}

#[tokio::test(start_paused = true)]
async fn more_selectors_than_one_stream_takes_are_watched_on_several() {
    let fake = Fake::new(1);
    limit(&fake, 10);
    let client = fake.client();
    client.ready().await.expect("ready");
    let subs = subscribe_to(&client, 25);
    let mut streams = Vec::new();
    let mut sizes = BTreeMap::new();
    for _ in 0..3 {
        let stream = fake.next_watch().await;
        *sizes.entry(answer(&stream).await).or_insert(0) += 1;
        streams.push(stream);
    }
    assert_eq!(sizes, BTreeMap::from([(5, 1), (10, 2)]));
    for sub in &subs {
        until_view(sub, |v| v.position().revision == 10).await;
    }
    fake.no_watch_within(Duration::from_secs(5)).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn server_that_takes_fewer_selectors_spreads_them() {
    let fake = Fake::new(1);
    let client = fake.client();
    let subs = subscribe_to(&client, 25);
    let stream = fake.next_watch().await;
    assert_eq!(answer(&stream).await, 25);
    for sub in &subs {
        until_view(sub, |v| v.position().revision == 10).await;
    }
    limit(&fake, 10);
    fake.place(0).cut_all();
    let mut streams = Vec::new();
    for _ in 0..3 {
        let stream = fake.next_watch().await;
        let resumed = stream
            .request
            .subscriptions
            .iter()
            .all(|s| s.resume.is_some());
        assert!(resumed, "each goes on from its own position");
        assert!(answer(&stream).await <= 10);
        streams.push(stream);
    }
    sleep(Duration::from_secs(1)).await;
    for sub in &subs {
        assert!(sub.error().is_none());
    }
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn selectors_beyond_the_last_stream_are_refused() {
    let fake = Fake::new(1);
    limit(&fake, 2);
    let client = fake.client();
    let first = client.subscribe(Selector::service("shop", "first"));
    let _first = first.expect("subscribed");
    let _stream = fake.next_watch().await; // the limit is known
    let _more = subscribe_to(&client, 31);
    let e = client
        .subscribe(Selector::service("shop", "more"))
        .expect_err("too many");
    assert_eq!(e.reason(), Reason::LimitExceeded);
    assert_eq!(
        e.to_string(),
        "muster: subscribe shop/more: 32 selectors are watched already, and 16 streams of 2 are the most; \
         close subscriptions, or name several services in one selector [LIMIT_EXCEEDED]"
    );
    let again = client.subscribe(Selector::service("shop", "first"));
    again.expect("shares a watch");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn selectors_that_no_longer_fit_end_with_an_error() {
    let fake = Fake::new(1);
    let client = fake.client();
    let subs = subscribe_to(&client, 17);
    let stream = fake.next_watch().await;
    answer(&stream).await;
    until_view(&subs[16], |v| v.position().revision == 10).await;
    limit(&fake, 1);
    fake.place(0).cut_all();
    let _next = fake.next_watch().await;
    let e = subs[16].error().expect("one selector too many");
    assert_eq!(e.reason(), Reason::LimitExceeded);
    assert!(
        e.to_string().contains("16 streams of 1 are the most"),
        "{e}"
    );
    assert!(subs[15].error().is_none());
    client.close().await;
}
