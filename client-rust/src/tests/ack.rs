//! Rules of acknowledging drains.

use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::RemovalReason as Why;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, What};
use super::watch::{grown, ids, until_view, watching};
use crate::testset::{Model, VIEW};

fn acks(w: &What) -> Option<v1::AckWatchRequest> {
    match w {
        What::AckWatch(r) => Some(r.clone()),
        _ => None,
    }
}

fn asking(mut d: v1::Delta, spread_ms: u32) -> v1::Delta {
    let header = d.header.as_mut().expect("a header");
    header.ack_request = Some(v1::AckRequest {
        ack_spread_ms: spread_ms,
    });
    d
}

#[tokio::test(start_paused = true)]
async fn ack_follows_pickers_and_is_cumulative() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let picker = sub.add_picker();
    let second = grown(&m, "b");
    let third = grown(&second, "c");
    stream
        .delta(asking(second.delta_from(&m, Why::Expired), 0))
        .await;
    stream
        .delta(asking(third.delta_from(&second, Why::Expired), 0))
        .await;
    let view = until_view(&sub, |v| v.position().revision == 12).await;
    sleep(Duration::from_secs(5)).await;
    assert!(fake.calls(acks).is_empty(), "the picker is behind");
    picker.applied(&view);
    let ack = fake.next_call(acks).await;
    assert_eq!(
        (ack.stream_id.as_str(), ack.epoch, ack.revision),
        ("stream-1", 1, 12)
    );
    assert_eq!(ack.view_ids, [VIEW]);
    // Without pickers the view itself is enough.
    drop(picker);
    let fourth = grown(&third, "d");
    stream
        .delta(asking(fourth.delta_from(&third, Why::Expired), 0))
        .await;
    assert_eq!(fake.next_call(acks).await.revision, 13);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(fake.calls(acks).len(), 2, "each is sent once");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn ack_waits_a_random_part_of_the_spread() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, _sub, stream) = watching(&fake, &m).await;
    let began = Instant::now();
    let next = grown(&m, "b");
    stream
        .delta(asking(next.delta_from(&m, Why::Expired), 1_000))
        .await;
    fake.next_call(acks).await;
    let waited = began.elapsed().as_millis();
    assert!(
        (495..=505).contains(&waited),
        "the middle word: {waited} ms"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn ack_is_tried_again_but_not_if_the_stream_is_unknown() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    fake.fail("ack_watch", Code::Unavailable, "STORE_FULL");
    fake.fail("ack_watch", Code::NotFound, "STREAM_UNKNOWN");
    let next = grown(&m, "b");
    stream
        .delta(asking(next.delta_from(&m, Why::Expired), 0))
        .await;
    fake.next_call(acks).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(fake.calls(acks).len(), 2);
    assert_eq!(ids(&sub.view()), ["a", "b"]);
    fake.no_watch_within(Duration::from_secs(1)).await;
    client.close().await;
}
