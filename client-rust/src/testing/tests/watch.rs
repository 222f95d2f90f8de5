use muster_proto::v1;
use muster_proto::v1::SnapshotCause as Cause;
use muster_proto::v1::selector::Names;
use muster_proto::v1::watch_response::Frame;
use tokio::time::{Instant, sleep};

use super::fake::{Raw, known, reach, reason, s, select_pay, spec, subscribe, unharmed};
use crate::testing::Registry;
use crate::testing::matching::{candidate_of, filter_of};
use crate::{Freshness, Intent};

#[tokio::test(start_paused = true)]
async fn watch_tells_how_instances_went() {
    let r = Registry::new();
    let client = r.client();
    let mut sub = subscribe(&client);
    r.register([spec("a"), spec("b")]);
    reach(&mut sub, s(1), &["a", "b"]).await;
    r.deregister("shop/pay/a");
    reach(&mut sub, s(1), &["b"]).await;
    r.deregister("shop/pay/b");
    let view = reach(&mut sub, s(1), &[]).await;
    assert_eq!(view.intent(), Intent::AllDeregistered);
    r.register([spec("c")]);
    reach(&mut sub, s(1), &["c"]).await;
    r.expire_all();
    let view = reach(&mut sub, s(1), &[]).await;
    assert_eq!(view.intent(), Intent::AllExpired);
    unharmed(&client);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn snapshot_then_deltas_then_progress() {
    let r = Registry::new();
    r.register([spec("a")]);
    let mut f = Raw::of(&r).await.watch("", None).await;
    let snapshot = f.snapshot(Cause::First).await;
    assert_eq!((snapshot.instances.len(), snapshot.services.len()), (1, 1));
    assert_eq!(snapshot.header.expect("a header").count, 2);
    let began = Instant::now();
    let progress = f.progress().await;
    let silence = began.elapsed();
    assert!(silence >= s(8) && silence <= s(12), "{silence:?}");
    r.register([spec("b")]);
    let delta = f.delta().await;
    assert_eq!(
        delta.from_revision,
        progress.header.expect("a header").revision
    );
    assert_eq!(delta.instances.len(), 1);
    r.deregister("shop/pay/a");
    r.deregister("shop/pay/b");
    let delta = f.delta().await;
    assert_eq!(delta.removals.len(), 2);
    let emptied = delta.services[0].emptied.as_ref().expect("emptied");
    assert_eq!(emptied.reason(), v1::RemovalReason::Deregistered);
}

#[tokio::test(start_paused = true)]
async fn filter_shows_what_leaves_it_as_filtered_out() {
    let r = Registry::new();
    r.register([spec("a").metadata("tier", "gold"), spec("b")]);
    let mut selector = select_pay();
    selector.filter = Some(v1::InstanceFilter {
        metadata: vec![v1::MetadataMatch {
            key: "tier".into(),
            values: vec!["gold".into()],
        }],
        ..Default::default()
    });
    let c = Raw::of(&r).await;
    let mut f = c.watch_selector("", selector, None).await;
    assert_eq!(f.snapshot(Cause::First).await.instances.len(), 1);
    r.register([spec("a")]);
    let delta = f.delta().await;
    assert_eq!(delta.removals.len(), 1);
    assert_eq!(delta.removals[0].reason(), v1::RemovalReason::FilteredOut);
}

#[test]
fn filter_matches_each_field() {
    use v1::shard_match::Kind;
    let list = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    let i = v1::Instance {
        instance_id: "a".into(),
        version: "1.2.0".into(),
        capabilities: list(&["x", "y"]),
        locality: Some(v1::Locality {
            region: "eu".into(),
            zone: "eu-1".into(),
        }),
        endpoints: vec![v1::Endpoint {
            name: "grpc".into(),
            ..Default::default()
        }],
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        shard: Some(v1::Shard {
            kind: Some(v1::shard::Kind::KeyRange(v1::KeyRange {
                start: "b".into(),
                end: "d".into(),
            })),
        }),
        ..Default::default()
    };
    let condition = |key: &str, values: &[&str]| {
        vec![v1::MetadataMatch {
            key: key.into(),
            values: list(values),
        }]
    };
    let shard = |kind: Kind| Some(v1::ShardMatch { kind: Some(kind) });
    type Set<'a> = &'a dyn Fn(&mut v1::InstanceFilter, bool);
    let fields: [Set<'_>; 12] = [
        &|f, yes| f.version_range = if yes { ">=1.0.0" } else { "<1.0.0" }.into(),
        &|f, yes| f.capabilities = list(&["x", if yes { "y" } else { "z" }]),
        &|f, yes| f.metadata = condition(if yes { "k" } else { "l" }, &[]),
        &|f, yes| f.metadata = condition("k", &[if yes { "v" } else { "w" }]),
        &|f, yes| f.shard = shard(Kind::Key(if yes { "b" } else { "d" }.into())),
        &|f, yes| {
            f.shard = shard(if yes {
                Kind::Key("cz".into())
            } else {
                Kind::ShardId(1)
            });
        },
        &|f, yes| f.healths = vec![if yes { 1 } else { 2 }],
        &|f, yes| f.lifecycles = vec![if yes { 2 } else { 1 }],
        &|f, yes| f.regions = list(&["us", if yes { "eu" } else { "af" }]),
        &|f, yes| f.zones = list(&[if yes { "eu-1" } else { "eu-2" }]),
        &|f, yes| f.instance_ids = list(&[if yes { "a" } else { "b" }]),
        &|f, yes| f.endpoint_names = list(&[if yes { "grpc" } else { "admin" }]),
    ];
    for (n, set) in fields.iter().enumerate() {
        for yes in [true, false] {
            let mut f = v1::InstanceFilter::default();
            set(&mut f, yes);
            assert_eq!(
                filter_of(&f).matches(&candidate_of(&i)),
                yes,
                "field {n}: {f:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn resume_by_the_rules() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    r.register([spec("a")]);
    let first = async |c: &Raw| {
        let snapshot = c.watch("", None).await.snapshot(Cause::First).await;
        known(snapshot.header.as_ref())
    };
    let held = first(&c).await;
    c.watch("", Some(held)).await.progress().await;
    r.register([spec("b")]);
    let delta = c.watch("", Some(held)).await.delta().await;
    assert_eq!(delta.from_revision, held.revision);
    r.compact();
    let mut f = c.watch("", Some(held)).await;
    f.snapshot(Cause::HistoryCompacted).await;
    let held = first(&c).await;
    r.restart();
    let c = Raw::of(&r).await;
    c.watch("", Some(held)).await.progress().await;
    let all = v1::Selector {
        names: Some(Names::Prefix(v1::ServicePrefix::default())),
        filter: None,
    };
    let mut f = c.watch_selector("", all, Some(held)).await;
    f.snapshot(Cause::SelectorChanged).await;
    r.lose_history();
    let c = Raw::of(&r).await;
    let mut f = c.watch("", Some(held)).await;
    f.snapshot(Cause::NewEpoch).await;
    let ahead = v1::KnownView {
        epoch: held.epoch + 2,
        ..held
    };
    let request = v1::WatchRequest {
        subscriptions: vec![v1::Subscription {
            subscription_id: 1,
            selector: Some(select_pay()),
            resume: Some(ahead),
        }],
        ..Default::default()
    };
    let refused = c.discovery.clone().watch(request).await;
    assert_eq!(reason(refused), "EPOCH_BEHIND");
}

#[tokio::test(start_paused = true)]
async fn resume_with_what_came_and_went_is_a_progress() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    r.register([spec("a")]);
    let snapshot = c.watch("", None).await.snapshot(Cause::First).await;
    let held = known(snapshot.header.as_ref());
    r.register([spec("b")]);
    r.deregister("shop/pay/b");
    let progress = c.watch("", Some(held)).await.progress().await;
    assert_eq!(progress.header.expect("a header").digest, held.digest);
}

#[tokio::test(start_paused = true)]
async fn cut_and_heal_resume_the_client() {
    let r = Registry::new();
    let client = r.client();
    let mut sub = subscribe(&client);
    r.register([spec("a")]);
    reach(&mut sub, s(1), &["a"]).await;
    r.cut();
    r.register([spec("b")]);
    sleep(s(60)).await;
    let view = reach(&mut sub, s(1), &["a"]).await;
    assert_ne!(view.freshness(), Freshness::Fresh);
    r.heal();
    reach(&mut sub, s(10), &["a", "b"]).await;
    r.restart();
    r.register([spec("c")]);
    reach(&mut sub, s(10), &["a", "b", "c"]).await;
    unharmed(&client);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lost_history_keeps_instances_as_unconfirmed() {
    let r = Registry::new();
    let (client, owner) = (r.client(), r.client());
    owner.register([spec("a")]).await.expect("registers");
    r.register([spec("b")]);
    let mut sub = subscribe(&client);
    reach(&mut sub, s(1), &["a", "b"]).await;
    r.lose_history();
    sleep(s(20)).await;
    let view = reach(&mut sub, s(1), &["a", "b"]).await;
    let unconfirmed: Vec<bool> = view.instances().iter().map(|i| i.unconfirmed).collect();
    assert_eq!(unconfirmed, [false, true], "a came back, and b did not");
    assert_eq!(view.position().epoch, 2);
    sleep(s(60)).await;
    reach(&mut sub, s(1), &["a"]).await;
    unharmed(&client);
    owner.close().await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn update_watch_adds_and_removes() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    let mut f = c.watch("", None).await;
    f.snapshot(Cause::First).await;
    let prefix = v1::ServicePrefix {
        namespace: "shop".into(),
        prefix: String::new(),
    };
    let request = v1::UpdateWatchRequest {
        stream_id: f.opened.stream_id.clone(),
        add: vec![v1::Subscription {
            subscription_id: 2,
            selector: Some(v1::Selector {
                names: Some(Names::Prefix(prefix)),
                filter: None,
            }),
            resume: None,
        }],
        remove: vec![1],
    };
    let mut discovery = c.discovery.clone();
    discovery.update_watch(request).await.expect("taken");
    match f.next().await {
        Frame::Opened(o) => assert_eq!(o.subscriptions[0].subscription_id, 2),
        other => panic!("{other:?}"),
    }
    f.snapshot(Cause::First).await;
    r.register([spec("a")]);
    f.delta().await;
    let unknown = discovery.update_watch(v1::UpdateWatchRequest::default());
    assert_eq!(reason(unknown.await), "STREAM_UNKNOWN");
    let unknown = discovery.ack_watch(v1::AckWatchRequest::default());
    assert_eq!(reason(unknown.await), "STREAM_UNKNOWN");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_of_one_view_share_its_frames() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    let mut f = c.watch("", None).await;
    f.snapshot(Cause::First).await;
    let request = v1::UpdateWatchRequest {
        stream_id: f.opened.stream_id.clone(),
        add: vec![v1::Subscription {
            subscription_id: 2,
            selector: Some(select_pay()),
            resume: None,
        }],
        remove: vec![],
    };
    let taken = c.discovery.clone().update_watch(request).await;
    taken.expect("taken");
    match f.next().await {
        Frame::Opened(o) => {
            assert_eq!(
                o.subscriptions[0].view_id,
                f.opened.subscriptions[0].view_id
            );
        }
        other => panic!("{other:?}"),
    }
    f.snapshot(Cause::First).await;
    r.register([spec("a")]);
    f.delta().await;
    f.progress().await;
}

#[tokio::test(start_paused = true)]
async fn large_sets_come_in_chunks() {
    let r = Registry::new();
    let want: Vec<String> = (0..40).map(|n| format!("i{n:02}")).collect();
    for id in &want {
        r.register([spec(id).metadata("filling", "x".repeat(15 << 10))]);
    }
    let mut f = Raw::of(&r).await.watch("", None).await;
    let (mut ids, mut chunks) = (Vec::new(), 0);
    loop {
        let snapshot = f.snapshot(Cause::First).await;
        let chunk = snapshot.chunk.expect("a chunk");
        assert_eq!(chunk.index, chunks);
        chunks += 1;
        ids.extend(snapshot.instances.into_iter().map(|i| i.instance_id));
        if chunk.position() == v1::ChunkPosition::Final {
            break;
        }
    }
    assert_eq!((chunks, &ids), (3, &want));
    let client = r.client();
    let ids: Vec<&str> = want.iter().map(String::as_str).collect();
    reach(&mut subscribe(&client), s(1), &ids).await;
    unharmed(&client);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn streams_of_other_clusters_are_refused() {
    let r = Registry::new();
    let mut c = Raw::of(&r).await;
    let other = v1::WatchRequest {
        cluster_id: "other".into(),
        ..Default::default()
    };
    assert_eq!(reason(c.discovery.watch(other).await), "WRONG_CLUSTER");
    let nothing = c.discovery.watch(v1::WatchRequest::default()).await;
    assert_eq!(reason(nothing), "INVALID_ARGUMENT");
}
