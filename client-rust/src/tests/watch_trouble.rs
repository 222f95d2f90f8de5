//! Rules of watching when something goes wrong.

use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::RemovalReason as Why;
use muster_proto::v1::SnapshotCause as Cause;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, What, answer};
use super::watch::{grown, ids, pay, until_view, update_watches, watching};
use crate::status::status_of;
use crate::testset::{Model, VIEW};
use crate::{Freshness, Intent, Selector, Source, View};

fn unavailable() -> tonic::Status {
    status_of(Code::Unavailable, "SHUTTING_DOWN", &[], None)
}

#[tokio::test(start_paused = true)]
async fn broken_stream_resumes() {
    let fake = Fake::new(2);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    stream.fail(unavailable()).await;
    let began = Instant::now();
    let stream = fake.next_watch().await;
    assert_eq!(stream.server, 1);
    assert!(began.elapsed() <= Duration::from_millis(200));
    let resume = stream.resume().expect("a position");
    let header = m.header();
    assert_eq!(
        (resume.epoch, resume.revision, resume.view_id),
        (1, 10, VIEW)
    );
    assert_eq!((resume.digest, resume.count), (header.digest, header.count));
    assert_eq!(stream.request.cluster_id, "c1");
    assert_eq!(sub.view().source(), Source::Memory);
    assert_eq!(ids(&sub.view()), ["a"]);
    stream.open(VIEW).await;
    let next = grown(&m, "b");
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    let view = until_view(&sub, |v| ids(v) == ["a", "b"]).await;
    assert_eq!(view.source(), Source::Registry);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn stream_that_breaks_in_an_update_keeps_the_old_set() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let next = grown(&m, "b");
    let mut part = next.snapshot(Cause::HistoryCompacted);
    part.chunk = Some(crate::testset::chunk(0, false));
    stream.snapshot(part).await;
    stream.fail(unavailable()).await;
    let stream = fake.next_watch().await;
    assert_eq!(stream.resume().expect("a position").revision, 10);
    assert_eq!(ids(&sub.view()), ["a"]);
    stream.open(VIEW).await;
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    until_view(&sub, |v| ids(v) == ["a", "b"]).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn server_that_sends_once_and_dies_is_not_hammered() {
    let fake = Fake::new(1);
    let client = fake.client();
    let _sub = client.subscribe(pay()).expect("subscribed");
    let m = Model::with(1, 10, &["a"]);
    let mut at = Vec::new();
    for _ in 0..8 {
        let stream = fake.next_watch().await;
        at.push(Instant::now());
        stream.open(VIEW).await;
        stream.snapshot(m.snapshot(Cause::First)).await;
        stream.fail(unavailable()).await;
    }
    let gaps: Vec<u128> = at.windows(2).map(|w| (w[1] - w[0]).as_millis()).collect();
    assert!(
        gaps.windows(2).all(|g| g[1] + 2 >= g[0]) && gaps[6] > 2_000,
        "the waits grow: {gaps:?}"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn outage_shows_as_age_and_never_as_emptiness() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, _stream) = watching(&fake, &m).await;
    fake.place(0).stop();
    for (seconds, want) in [
        (29, Freshness::Fresh),
        (31, Freshness::Stale),
        (599, Freshness::Stale),
        (601, Freshness::Expired),
    ] {
        let age = sub.view().age().as_secs();
        sleep(Duration::from_secs(seconds - age)).await;
        assert_eq!(sub.view().freshness(), want, "after {seconds} s");
        assert_eq!(ids(&sub.view()), ["a"]);
        assert_eq!(sub.view().intent(), Intent::Present);
    }
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn age_counts_what_the_server_knew() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let mut p = m.progress();
    let header = p.header.as_mut().expect("a header");
    header.data_age_ms = 40_000;
    stream.progress(p).await;
    until_view(&sub, |v| v.freshness() == Freshness::Stale).await;
    assert_eq!(sub.view().age().as_secs(), 40);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn frames_of_views_not_opened_are_ignored() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let cart = client
        .subscribe(Selector::service("shop", "cart"))
        .expect("subscribed");
    let id = fake.next_call(update_watches).await.add[0].subscription_id;
    // A frame of the added view that was under way for somebody else's sake.
    let mut other = Model::new(1, 12);
    other.view_id = 77;
    stream.progress(other.progress()).await;
    stream.snapshot(other.snapshot(Cause::First)).await;
    sleep(Duration::from_millis(100)).await;
    assert!(!cart.view().is_received());
    stream
        .opened(v1::Opened {
            epoch: 1,
            subscriptions: vec![answer(id, 77)],
            ..Default::default()
        })
        .await;
    stream.snapshot(other.snapshot(Cause::First)).await;
    until_view(&cart, View::is_received).await;
    assert_eq!(ids(&sub.view()), ["a"]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn subscription_that_is_never_answered_reopens_the_stream() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, _sub, _stream) = watching(&fake, &m).await;
    let _cart = client
        .subscribe(Selector::service("shop", "cart"))
        .expect("subscribed");
    let began = Instant::now();
    let stream = fake.next_watch().await;
    assert_eq!(stream.request.subscriptions.len(), 2);
    assert!((9..12).contains(&began.elapsed().as_secs()));
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn mismatch_keeps_the_last_verified_view_and_reopens_without_resume() {
    let fake = Fake::new(2);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let next = grown(&m, "b");
    let mut bad = next.delta_from(&m, Why::Expired);
    bad.header.as_mut().expect("a header").digest ^= 1;
    stream.delta(bad).await;
    let stream = fake.next_watch().await;
    assert_eq!(stream.server, 1, "another server may know better");
    assert_eq!(stream.resume(), None);
    assert_eq!(ids(&sub.view()), ["a"]);
    assert_eq!(sub.view().freshness(), Freshness::Stale);
    assert_eq!(client.stats().digest_mismatches, 1);
    stream.open(VIEW).await;
    stream.snapshot(next.snapshot(Cause::First)).await;
    let view = until_view(&sub, |v| ids(v) == ["a", "b"]).await;
    assert_eq!(view.freshness(), Freshness::Fresh);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn third_mismatching_snapshot_is_taken_unverified() {
    let fake = Fake::new(1);
    let client = fake.client();
    let sub = client.subscribe(pay()).expect("subscribed");
    let m = Model::with(1, 10, &["a"]);
    let mut bad = m.snapshot(Cause::First);
    bad.header.as_mut().expect("a header").digest ^= 1;
    for _ in 0..2 {
        let stream = fake.next_watch().await;
        stream.open(VIEW).await;
        stream.snapshot(bad.clone()).await;
        stream.left().await;
        assert!(!sub.view().is_received());
    }
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.snapshot(bad.clone()).await;
    let view = until_view(&sub, View::is_received).await;
    assert!(view.is_unverified());
    assert_eq!(ids(&view), ["a"]);
    assert_eq!(client.stats().digest_mismatches, 2);
    assert_eq!(client.stats().unverified_views, 1);
    // It is asked for again after 30 s, then after 60 s.
    let mut stream = stream;
    for want in [30, 60] {
        let began = Instant::now();
        let again = loop {
            stream.progress(m.progress()).await;
            tokio::select! {
                next = fake.next_watch() => break next,
                () = sleep(Duration::from_secs(10)) => {}
            }
        };
        assert_eq!(began.elapsed().as_secs(), want);
        assert_eq!(again.resume(), None);
        again.open(VIEW).await;
        stream = again;
        if want == 30 {
            stream.snapshot(bad.clone()).await;
        }
    }
    assert!(sub.view().is_unverified());
    assert_eq!(client.stats().unverified_views, 2);
    stream.snapshot(m.snapshot(Cause::First)).await;
    until_view(&sub, |v| !v.is_unverified()).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn gap_reopens_with_own_position() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let second = grown(&m, "b");
    let third = grown(&second, "c");
    stream.delta(third.delta_from(&second, Why::Expired)).await;
    let stream = fake.next_watch().await;
    assert_eq!(stream.resume().expect("a position").revision, 10);
    assert_eq!(ids(&sub.view()), ["a"]);
    stream.open(VIEW).await;
    stream.delta(third.delta_from(&m, Why::Expired)).await;
    until_view(&sub, |v| ids(v) == ["a", "b", "c"]).await;
    assert_eq!(client.stats().digest_mismatches, 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn quiet_stream_is_reopened_elsewhere() {
    let fake = Fake::new(2);
    let m = Model::with(1, 10, &["a"]);
    let (client, _sub, _stream) = watching(&fake, &m).await;
    let began = Instant::now();
    let stream = fake.next_watch().await;
    assert_eq!(began.elapsed().as_secs(), 25);
    assert_eq!(stream.server, 1);
    assert!(stream.resume().is_some());
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn stream_without_opened_is_given_up() {
    let fake = Fake::new(2);
    let client = fake.client();
    let _sub = client.subscribe(pay()).expect("subscribed");
    let first = fake.next_watch().await;
    let began = Instant::now();
    let second = fake.next_watch().await;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!((first.server, second.server), (0, 1));
    second
        .snapshot(Model::new(1, 10).snapshot(Cause::First))
        .await;
    let third = fake.next_watch().await;
    assert_eq!(third.server, 0, "the first frame must be Opened");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn new_epoch_replaces_the_view() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a", "b"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    stream.fail(unavailable()).await;
    let stream = fake.next_watch().await;
    stream.open_in(2, VIEW).await;
    let new = Model::with(2, 3, &["c"]);
    stream.snapshot(new.snapshot(Cause::NewEpoch)).await;
    let view = until_view(&sub, |v| v.position().epoch == 2).await;
    assert_eq!(ids(&view), ["c"]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn recovering_keeps_old_instances_as_unconfirmed() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a", "b"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    stream.fail(unavailable()).await;
    let stream = fake.next_watch().await;
    stream.open_in(2, VIEW).await;
    let mut new = Model::with(2, 3, &["a"]);
    new.recovering = true;
    stream.snapshot(new.snapshot(Cause::NewEpoch)).await;
    let view = until_view(&sub, |v| v.position().epoch == 2).await;
    assert_eq!(ids(&view), ["a", "b"]);
    let unconfirmed: Vec<bool> = view.instances().iter().map(|i| i.unconfirmed).collect();
    assert_eq!(unconfirmed, [false, true]);
    assert!(view.is_recovering());
    new.recovering = false;
    new.revision = 4;
    stream.progress(new.progress()).await;
    let view = until_view(&sub, |v| !v.is_recovering()).await;
    assert_eq!(ids(&view), ["a"]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lower_epoch_only_when_nothing_else_answers_for_a_minute() {
    let fake = Fake::new(2);
    let m = Model::with(5, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let began = Instant::now();
    stream.fail(unavailable()).await;
    fake.place(0).stop();
    let old = Model::with(4, 90, &["z"]);
    loop {
        let stream = fake.next_watch().await;
        let resume = stream.resume();
        stream.open_in(4, VIEW).await;
        if began.elapsed() < Duration::from_secs(60) {
            assert!(resume.is_some());
            stream.left().await;
            assert_eq!(ids(&sub.view()), ["a"]);
            continue;
        }
        assert_eq!(resume, None, "its own position would be refused");
        stream.snapshot(old.snapshot(Cause::First)).await;
        let view = until_view(&sub, |v| v.position().epoch == 4).await;
        assert_eq!(ids(&view), ["z"]);
        break;
    }
    assert!(began.elapsed() <= Duration::from_secs(70));
    assert_eq!(client.stats().epoch_regressions, 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn server_of_the_highest_epoch_is_preferred() {
    let fake = Fake::new(2);
    let m = Model::with(5, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    stream.fail(unavailable()).await;
    let behind = fake.next_watch().await;
    assert_eq!(behind.server, 1);
    behind.open_in(4, VIEW).await;
    behind.left().await;
    let again = fake.next_watch().await;
    assert_eq!(again.server, 0);
    again.open_in(5, VIEW).await;
    again.progress(m.progress()).await;
    until_view(&sub, |v| v.source() == Source::Registry).await;
    assert_eq!(client.stats().epoch_regressions, 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn isolated_server_is_left_for_another() {
    let fake = Fake::new(2);
    let mut m = Model::with(1, 10, &["a"]);
    let (client, sub, first) = watching(&fake, &m).await;
    m.revision = 11;
    let mut p = m.progress();
    let header = p.header.as_mut().expect("a header");
    header.flags = vec![v1::ViewFlag::Isolated as i32];
    first.progress(p).await;
    until_view(&sub, View::is_isolated).await;
    assert_eq!(ids(&sub.view()), ["a"], "it keeps its set");
    let began = Instant::now();
    let second = fake.next_watch().await;
    assert_eq!(second.server, 1);
    assert!(began.elapsed() <= Duration::from_secs(1), "at once");
    second.open(VIEW).await;
    first.left().await;
    m.revision = 12;
    second.progress(m.progress()).await;
    until_view(&sub, |v| !v.is_isolated()).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn stream_unknown_reopens_with_positions() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, _sub, _stream) = watching(&fake, &m).await;
    fake.fail("update_watch", Code::NotFound, "STREAM_UNKNOWN");
    let _cart = client
        .subscribe(Selector::service("shop", "cart"))
        .expect("subscribed");
    let stream = fake.next_watch().await;
    let subscriptions = &stream.request.subscriptions;
    assert_eq!(subscriptions.len(), 2);
    assert!(subscriptions[0].resume.is_some());
    assert!(subscriptions[1].resume.is_none());
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn access_change_replaces_the_view() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a", "b"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let id = stream.request.subscriptions[0].subscription_id;
    stream
        .opened(v1::Opened {
            epoch: 1,
            subscriptions: vec![answer(id, 99)],
            ..Default::default()
        })
        .await;
    let mut less = Model::with(1, 10, &["b"]);
    less.view_id = 99;
    // A frame of the old view that was under way changes nothing.
    let mut old = m.clone();
    old.revision = 11;
    stream.progress(old.progress()).await;
    stream.snapshot(less.snapshot(Cause::AccessChanged)).await;
    let view = until_view(&sub, |v| ids(v) == ["b"]).await;
    assert_eq!(view.position().revision, 10);
    stream.fail(unavailable()).await;
    let stream = fake.next_watch().await;
    assert_eq!(stream.resume().expect("a position").view_id, 99);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lost_history_is_counted() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let earlier = Model::with(1, 4, &["b"]);
    stream.snapshot(earlier.snapshot(Cause::HistoryLost)).await;
    until_view(&sub, |v| ids(v) == ["b"]).await;
    assert_eq!(client.stats().histories_lost, 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn last_subscription_ends_the_stream_while_it_reconnects() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, _stream) = watching(&fake, &m).await;
    fake.place(0).stop();
    sleep(Duration::from_secs(20)).await;
    drop(sub);
    fake.place(0).start();
    let watches = |w: &What| match w {
        What::Watch(r) => Some(r.subscriptions.len()),
        _ => None,
    };
    let before = fake.calls(watches).len();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.calls(watches).len(), before);
    client.close().await;
}
