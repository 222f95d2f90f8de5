//! Rules of subscriptions' waits and update streams.

use std::time::Duration;

use futures_util::StreamExt;
use muster_proto::v1;
use muster_proto::v1::RemovalReason as Why;
use muster_proto::v1::SnapshotCause as Cause;
use tokio::time::{Instant, sleep};

use super::fake::{Fake, Scripted, What};
use super::watch::{grown, ids, pay, until_view, watching};
use crate::testset::{Model, VIEW};
use crate::{
    Client, Freshness, Intent, Reason, RemovalReason, SnapshotCause, Subscription, Update,
};

fn named(service: &str) -> v1::ServiceSummary {
    v1::ServiceSummary {
        state: Some(v1::ServiceState {
            namespace: "shop".into(),
            service: service.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn updates_can_be_moved_to_tasks() {
    fn check<T: Send + Unpin + 'static>() {}
    check::<crate::Updates>();
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Client>();
    shared::<Subscription>();
    shared::<crate::Registration>();
}

#[tokio::test(start_paused = true)]
async fn wait_tells_what_is_missing() {
    let fake = Fake::new(1);
    fake.place(0).stop();
    let client = fake.client();
    let sub = client.subscribe(pay()).expect("subscribed");
    let began = Instant::now();
    let e = sub.wait(1).await.expect_err("no view");
    assert_eq!((e.reason(), began.elapsed().as_secs()), (Reason::NoView, 5));
    let text = e.to_string();
    assert!(text.contains("no view of shop/pay within 5s"), "{text}");
    assert!(text.contains("connection refused"), "{text}");
    let service = crate::ServiceName::new("shop", "pay");
    let why = sub.why(&service).expect("nothing was received");
    assert_eq!((why.op(), why.subject()), ("pick", "shop/pay"));
    assert_eq!(why.to_string(), text);
    fake.place(0).start();
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    let mut m = Model::new(1, 10);
    stream.snapshot(m.snapshot(Cause::First)).await;
    fake.lock().services = ["payy", "cart"].map(named).into();
    let e = sub.wait(1).await.expect_err("never seen");
    assert_eq!(
        e.to_string(),
        "muster: service \"shop/pay\" has never been registered (epoch 1, revision 10); similar: shop/payy \
         [SERVICE_UNKNOWN]"
    );
    let why = sub.why(&service).expect("never seen");
    assert_eq!(
        (why.reason(), why.subject()),
        (Reason::ServiceUnknown, "shop/pay")
    );
    let asked = fake.calls(|w| match w {
        What::ListServices(r) => Some(r.clone()),
        _ => None,
    });
    assert_eq!(asked[0].namespace, "shop");
    assert_eq!(
        sub.wait(0).await.expect("a view").intent(),
        Intent::NeverSeen
    );
    let old = m.clone();
    m.revision = 11;
    m.state(Some(v1::Emptied {
        reason: Why::Deregistered as i32,
        instance_id: "pay-7".into(),
        revision: 11,
        time: None,
    }));
    stream.delta(m.delta_from(&old, Why::Expired)).await;
    let e = sub.wait(1).await.expect_err("gone");
    assert_eq!(
        e.to_string(),
        "muster: shop/pay has no instances: the last one deregistered (pay-7, revision 11) [NO_INSTANCES]"
    );
    let old = m.clone();
    m = grown(&m, "a");
    stream.delta(m.delta_from(&old, Why::Expired)).await;
    assert_eq!(sub.wait(1).await.expect("one").instances().len(), 1);
    let e = sub.wait(2).await.expect_err("only one");
    assert_eq!(
        e.to_string(),
        "muster: shop/pay has 1 of 2 wanted instances after 5s; still watching [NO_INSTANCES]"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn wait_does_not_wait_for_similar_names() {
    let fake = Fake::new(1);
    let client = fake.client();
    let sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    let m = Model::new(1, 10);
    stream.snapshot(m.snapshot(Cause::First)).await;
    fake.script("list_services", Scripted::Hang);
    let began = Instant::now();
    let coming = async {
        sleep(Duration::from_millis(500)).await;
        stream
            .delta(grown(&m, "a").delta_from(&m, Why::Expired))
            .await;
    };
    let (view, ()) = tokio::join!(sub.wait(1), coming);
    assert_eq!(ids(&view.expect("one")), ["a"]);
    assert_eq!(began.elapsed().as_millis(), 500);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn updates_yield_the_net_difference() {
    let fake = Fake::new(1);
    let mut m = Model::with(1, 10, &["a", "b"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let mut updates = sub.updates();
    let Some(Ok(Update::Snapshot {
        cause,
        upserted,
        removed,
        ..
    })) = updates.next().await
    else {
        panic!("want a snapshot")
    };
    assert_eq!(
        (cause, upserted.len(), removed.len()),
        (SnapshotCause::First, 2, 0)
    );
    // Nobody reads while three updates come: one delta tells their sum.
    for id in ["c", "d"] {
        let next = grown(&m, id);
        stream.delta(next.delta_from(&m, Why::Expired)).await;
        m = next;
    }
    let mut next = m.clone();
    next.revision += 1;
    next.instances.remove("a");
    next.instances.remove("d");
    stream.delta(next.delta_from(&m, Why::Deregistered)).await;
    until_view(&sub, |v| v.position().revision == next.revision).await;
    let Some(Ok(Update::Delta {
        upserted,
        removed,
        view,
        ..
    })) = updates.next().await
    else {
        panic!("want a delta")
    };
    assert_eq!(upserted.len(), 1);
    assert_eq!(upserted[0].key.instance_id, "c");
    assert_eq!(removed.len(), 1);
    assert_eq!(
        (removed[0].key.instance_id.as_str(), removed[0].reason),
        ("a", RemovalReason::Deregistered)
    );
    assert_eq!(ids(&view), ["b", "c"]);
    // Progress alone is nothing to tell; silence is, once it is too long.
    let mut later = next.clone();
    later.revision = 50;
    stream.progress(later.progress()).await;
    let began = Instant::now();
    fake.place(0).stop();
    let Some(Ok(Update::Freshness { from, to, .. })) = updates.next().await else {
        panic!("want freshness")
    };
    assert_eq!((from, to), (Freshness::Fresh, Freshness::Stale));
    assert_eq!(began.elapsed().as_secs(), 30);
    let Some(Ok(Update::Freshness { to, .. })) = updates.next().await else {
        panic!("want freshness")
    };
    assert_eq!((to, began.elapsed().as_secs()), (Freshness::Expired, 600));
    assert_eq!(ids(&sub.view()), ["b", "c"], "an old set is served on");
    fake.place(0).start();
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.progress(later.progress()).await;
    let Some(Ok(Update::Freshness { to, .. })) = updates.next().await else {
        panic!("want freshness")
    };
    assert_eq!(to, Freshness::Fresh);
    client.close().await;
    let last = updates.next().await.expect("the end is told");
    assert_eq!(last.expect_err("closed").reason(), Reason::Closed);
    assert!(updates.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn updates_keep_the_watch_open() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    let (client, sub, stream) = watching(&fake, &m).await;
    let mut updates = sub.updates();
    drop(sub);
    assert!(updates.next().await.is_some());
    let next = grown(&m, "b");
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    assert!(matches!(
        updates.next().await,
        Some(Ok(Update::Delta { .. }))
    ));
    drop(updates);
    stream.left().await;
    client.close().await;
}
