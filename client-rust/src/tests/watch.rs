//! Rules of watching while all goes well.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use muster_proto::v1;
use muster_proto::v1::RemovalReason as Why;
use muster_proto::v1::SnapshotCause as Cause;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use super::fake::{Fake, OpenWatch, What, answer};
use crate::status::status_of;
use crate::testset::{Model, VIEW};
use crate::{
    Client, Freshness, Intent, Position, Reason, Selector, ServiceName, Source, Subscription, View,
};

pub(crate) fn pay() -> Selector {
    Selector::service("shop", "pay")
}

pub(crate) fn ids(view: &View) -> Vec<&str> {
    let instances = view.instances().iter();
    instances.map(|i| i.key.instance_id.as_str()).collect()
}

pub(crate) fn update_watches(w: &What) -> Option<v1::UpdateWatchRequest> {
    match w {
        What::UpdateWatch(r) => Some(r.clone()),
        _ => None,
    }
}

/// A client that watches shop/pay and holds this model.
pub(crate) async fn watching(fake: &Fake, m: &Model) -> (Client, Subscription, OpenWatch) {
    let client = fake.client();
    let mut sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    stream.open_in(m.epoch, m.view_id).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    sub.changed().await.expect("a view");
    (client, sub, stream)
}

/// The model one revision later, with one more instance.
pub(crate) fn grown(m: &Model, id: &str) -> Model {
    let mut next = m.clone();
    next.revision += 1;
    next.put(id);
    next
}

/// Waits until a view satisfies this.
pub(crate) async fn until_view(sub: &Subscription, want: impl Fn(&View) -> bool) -> Arc<View> {
    let mut sub = sub.clone();
    loop {
        let view = sub.view();
        if want(&view) {
            return view;
        }
        let next = timeout(Duration::from_secs(7_200), sub.changed()).await;
        next.expect("no such view came").expect("not ended");
    }
}

#[tokio::test(start_paused = true)]
async fn subscribe_follows_changes() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut sub = client.subscribe(pay()).expect("subscribed");
    let empty = sub.view();
    assert!(empty.instances().is_empty());
    assert_eq!(empty.intent(), Intent::NotYet);
    assert_eq!(empty.freshness(), Freshness::Expired);
    let stream = fake.next_watch().await;
    assert_eq!(stream.request.subscriptions.len(), 1);
    assert_eq!(stream.resume(), None);
    stream.open(VIEW).await;
    let mut m = Model::with(1, 10, &["a", "b"]);
    stream.snapshot(m.snapshot(Cause::First)).await;
    let view = sub.changed().await.expect("a view");
    assert_eq!(ids(&view), ["a", "b"]);
    assert_eq!(view.position(), Position::new(1, 10));
    assert_eq!(view.digest(), m.header().digest);
    assert_eq!(
        (view.intent(), view.freshness()),
        (Intent::Present, Freshness::Fresh)
    );
    assert_eq!(view.source(), Source::Registry);
    let next = grown(&m, "c");
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    assert_eq!(ids(&sub.changed().await.expect("a view")), ["a", "b", "c"]);
    assert_eq!(ids(&view), ["a", "b"], "a view never changes");
    m = next.clone();
    m.revision = 20;
    stream.progress(m.progress()).await;
    assert_eq!(sub.changed().await.expect("a view").position().revision, 20);
    assert_eq!(client.stats().watch_streams, 1);
    client.close().await;
    let e = sub.changed().await.expect_err("closed");
    assert_eq!(e.reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn changed_is_cancel_safe() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, mut sub, stream) = watching(&fake, &m).await;
    for _ in 0..3 {
        let cut = timeout(Duration::from_millis(1), sub.changed()).await;
        assert!(cut.is_err());
    }
    let next = grown(&m, "b");
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    assert_eq!(ids(&sub.changed().await.expect("a view")), ["a", "b"]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn equal_selectors_share_a_watch_and_others_join_the_stream() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let twin = client.subscribe(pay()).expect("subscribed");
    assert_eq!(ids(&twin.view()), ["a"], "there at once");
    assert_eq!(client.status().subscriptions, 1);
    let cart = client
        .subscribe(Selector::service("shop", "cart"))
        .expect("subscribed");
    let update = fake.next_call(update_watches).await;
    assert_eq!(update.stream_id, "stream-1");
    assert_eq!((update.add.len(), update.remove.len()), (1, 0));
    let id = update.add[0].subscription_id;
    stream
        .opened(v1::Opened {
            stream_id: "stream-1".into(),
            cluster_id: "c1".into(),
            epoch: 1,
            subscriptions: vec![answer(id, 77)],
            limits: None,
        })
        .await;
    let mut other = Model::new(1, 12);
    other.view_id = 77;
    stream.snapshot(other.snapshot(Cause::First)).await;
    until_view(&cart, View::is_received).await;
    assert_eq!(cart.view().intent(), Intent::NeverSeen);
    assert_eq!(ids(&sub.view()), ["a"], "the other is as it was");
    // The last handle of a selector ends its watch.
    drop(sub);
    drop(cart);
    let update = fake.next_call(update_watches).await;
    assert_eq!(update.remove, [id]);
    assert_eq!(client.status().subscriptions, 1);
    drop(twin);
    stream.left().await;
    assert_eq!(client.status().subscriptions, 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn selectors_of_one_view_share_its_frames() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    // Another form of the same meaning: the server gives it the same view.
    let twin = client
        .subscribe(pay().version_range(">=0.0.0"))
        .expect("subscribed");
    let id = fake.next_call(update_watches).await.add[0].subscription_id;
    stream
        .opened(v1::Opened {
            epoch: 1,
            subscriptions: vec![answer(id, VIEW)],
            ..Default::default()
        })
        .await;
    assert_eq!(ids(&*until_view(&twin, View::is_received).await), ["a"]);
    let next = grown(&m, "b");
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    for sub in [&sub, &twin] {
        until_view(sub, |v| ids(v) == ["a", "b"]).await;
    }
    fake.no_watch_within(Duration::from_secs(20)).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn stream_is_handed_over_about_once_an_hour() {
    let fake = Fake::new(1);
    let mut m = Model::with(1, 10, &["a"]);
    let (client, sub, first) = watching(&fake, &m).await;
    let began = Instant::now();
    let second = loop {
        m.revision += 1;
        m.uptime_ms += 10_000;
        first.progress(m.progress()).await;
        tokio::select! {
            next = fake.next_watch() => break next,
            () = sleep(Duration::from_secs(10)) => {}
        }
    };
    let life = began.elapsed().as_secs();
    assert!((2_880..=4_320).contains(&life), "{life} s");
    let resumed = second.resume().expect("a position").revision;
    assert!(resumed + 1 >= m.revision, "{resumed} of {}", m.revision);
    // The old stream still counts until the new one is open.
    let next = grown(&m, "b");
    first.delta(next.delta_from(&m, Why::Expired)).await;
    assert!(!first.frames.is_closed());
    second.open(VIEW).await;
    first.left().await;
    second
        .snapshot(next.snapshot(Cause::HistoryCompacted))
        .await;
    until_view(&sub, |v| ids(v) == ["a", "b"]).await;
    assert_eq!(sub.view().source(), Source::Registry);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn intent_tells_how_it_became_empty() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a", "b"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let name = ServiceName::new("shop", "pay");
    let mut next = m.clone();
    next.revision = 11;
    next.instances.clear();
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    until_view(&sub, |v| v.position().revision == 11).await;
    assert_eq!(sub.view().intent_of(&name), Intent::AllExpired);
    let e = sub.view().why(&name).expect("an error");
    assert_eq!(
        e.to_string(),
        "muster: shop/pay has no instances: the last one expired (b, revision 11) [NO_INSTANCES]"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn forbidden_services_are_told() {
    let fake = Fake::new(1);
    let client = fake.client();
    let selector = Selector::services([
        ServiceName::new("shop", "pay"),
        ServiceName::new("shop", "secret"),
    ]);
    let sub = client.subscribe(selector).expect("subscribed");
    let stream = fake.next_watch().await;
    let id = stream.request.subscriptions[0].subscription_id;
    let mut opened = answer(id, VIEW);
    opened.forbidden = vec![v1::ServiceName {
        namespace: "shop".into(),
        service: "secret".into(),
    }];
    stream
        .opened(v1::Opened {
            stream_id: "s".into(),
            cluster_id: "c1".into(),
            epoch: 1,
            subscriptions: vec![opened],
            limits: None,
        })
        .await;
    let m = Model::with(1, 10, &["a"]);
    stream.snapshot(m.snapshot(Cause::First)).await;
    let view = until_view(&sub, View::is_received).await;
    let secret = ServiceName::new("shop", "secret");
    assert_eq!(view.intent_of(&secret), Intent::Forbidden);
    assert_eq!(view.why(&secret).expect("why").reason(), Reason::Forbidden);
    assert_eq!(view.intent(), Intent::Present);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn refusal_ends_one_subscription_alone() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut good = client.subscribe(pay()).expect("subscribed");
    let bad = client
        .subscribe(Selector::service("shop", "secret"))
        .expect("subscribed");
    let stream = fake.next_watch().await;
    assert_eq!(stream.request.subscriptions.len(), 2);
    let refusal = v1::OpenedSubscription {
        subscription_id: stream.request.subscriptions[1].subscription_id,
        refusal: Some(v1::Refusal {
            reason: v1::ErrorReason::Forbidden as i32,
            message: "not yours".into(),
        }),
        ..Default::default()
    };
    let id = stream.request.subscriptions[0].subscription_id;
    stream
        .opened(v1::Opened {
            stream_id: "s".into(),
            cluster_id: "c1".into(),
            epoch: 1,
            subscriptions: vec![answer(id, VIEW), refusal],
            limits: None,
        })
        .await;
    let mut updates = bad.updates();
    let e = updates.next().await.expect("the end").expect_err("refused");
    assert_eq!(e.reason(), Reason::Forbidden);
    assert_eq!(bad.error().expect("ended").reason(), Reason::Forbidden);
    let m = Model::with(1, 10, &["a"]);
    stream.snapshot(m.snapshot(Cause::First)).await;
    assert_eq!(ids(&good.changed().await.expect("a view")), ["a"]);
    // Asking again asks the registry again.
    let again = client
        .subscribe(Selector::service("shop", "secret"))
        .expect("subscribed");
    assert!(again.error().is_none());
    fake.next_call(update_watches).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn refused_stream_is_asked_one_by_one() {
    let fake = Fake::new(1);
    let refuse = || status_of(Code::ResourceExhausted, "LIMIT_EXCEEDED", &[], None);
    fake.script("watch", super::fake::Scripted::Fail(refuse()));
    let client = fake.client();
    let subs: Vec<Subscription> = ["pay", "cart", "stock"]
        .iter()
        .map(|s| {
            client
                .subscribe(Selector::service("shop", *s))
                .expect("subscribed")
        })
        .collect();
    let stream = fake.next_watch().await;
    assert_eq!(stream.request.subscriptions.len(), 1);
    // The second one is what the server means.
    fake.script("update_watch", super::fake::Scripted::Fail(refuse()));
    stream.open(VIEW).await;
    fake.until(|s| {
        let updates = s.calls.iter().filter(|c| update_watches(&c.what).is_some());
        (updates.count() >= 2).then_some(())
    })
    .await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        subs[1].error().expect("refused").reason(),
        Reason::LimitExceeded
    );
    assert!(subs[0].error().is_none() && subs[2].error().is_none());
    client.close().await;
}
