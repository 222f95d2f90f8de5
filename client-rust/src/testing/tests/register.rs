use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::register_request::Claim;
use tokio::time::sleep;

use super::fake::{
    FIRST_REQUEST, Raw, SECOND_REQUEST, THIRD_REQUEST, instance, reach, reason, registered,
    registration, s, settle, spec, subscribe, unharmed,
};
use crate::instance::duration_to_wire;
use crate::testing::Registry;
use crate::{Health, RegistrationState};

#[tokio::test(start_paused = true)]
async fn lease_expires_at_its_ttl() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    let mut request = registration(FIRST_REQUEST, &["a"]);
    request.ttl = Some(duration_to_wire(s(2)));
    c.register(request).await;
    sleep(Duration::from_millis(1_990)).await;
    assert_eq!(registered(&r), ["a"], "just before the TTL");
    sleep(Duration::from_millis(11)).await;
    assert!(registered(&r).is_empty(), "after the TTL");
}

#[tokio::test(start_paused = true)]
async fn keepalives_keep_a_lease() {
    let r = Registry::new();
    let client = r.client();
    let reg = client.register([spec("a")]).await.expect("registers");
    sleep(s(600)).await;
    assert_eq!(reg.status().state, RegistrationState::Active);
    assert_eq!(registered(&r), ["a"]);
    r.expire("shop/pay/a");
    sleep(s(60)).await;
    assert_eq!(reg.status().state, RegistrationState::Active);
    assert_eq!(registered(&r), ["a"], "after the lease expired");
    let stats = client.stats();
    assert_eq!((stats.reregistrations, stats.lost_leases), (1, 1));
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn newcomer_takes_over_and_fences_the_old() {
    let r = Registry::new();
    let (older, newer) = (r.client(), r.client());
    let old = older.register([spec("a")]).await.expect("registers");
    newer.register([spec("a")]).await.expect("takes over");
    sleep(s(10)).await;
    assert_eq!(old.status().state, RegistrationState::Fenced);
    assert_eq!(registered(&r), ["a"]);
    older.close().await;
    newer.close().await;
}

#[tokio::test(start_paused = true)]
async fn register_retry_answers_the_first_lease() {
    let r = Registry::new();
    let mut c = Raw::of(&r).await;
    let first = c.register(registration(FIRST_REQUEST, &["a", "b"])).await;
    let again = c.register(registration(FIRST_REQUEST, &["a", "b"])).await;
    assert_eq!(first, again);
    let request = registration(SECOND_REQUEST, &["b", "c"]);
    let refused = c.registrations.register(request).await;
    assert_eq!(reason(refused), "INSTANCE_EXISTS");
    assert_eq!(registered(&r), ["a", "b"], "after a call that was refused");
}

#[tokio::test(start_paused = true)]
async fn replacement_ends_a_lease_that_held_nothing_else() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    let lease = |g: v1::RegisterResponse| g.lease.expect("a lease");
    let first = lease(c.register(registration(FIRST_REQUEST, &["a", "b"])).await);
    let mut request = registration(SECOND_REQUEST, &["a"]);
    request.claim = Some(Claim::TakeOver(v1::TakeOver {
        incarnations: vec![first.incarnation],
    }));
    let second = lease(c.register(request).await);
    let end = async |lease: &v1::Lease, id: &str| {
        let request = v1::DeregisterRequest {
            lease_id: lease.lease_id.clone(),
            instances: vec![v1::InstanceKey {
                namespace: "shop".into(),
                service: "pay".into(),
                instance_id: id.into(),
            }],
        };
        reason(c.registrations.clone().deregister(request).await)
    };
    assert_eq!(end(&first, "a").await, "FENCED");
    assert_eq!(end(&second, "zzz").await, "INSTANCE_UNKNOWN");
    assert_eq!(end(&first, "b").await, "");
    assert_eq!(end(&first, "b").await, "LEASE_UNKNOWN");
    let mut request = registration(THIRD_REQUEST, &["a"]);
    request.claim = Some(Claim::Previous(v1::PreviousLease {
        lease_id: first.lease_id,
        epoch: 1,
        incarnation: first.incarnation,
    }));
    let fenced = c.registrations.clone().register(request).await;
    assert_eq!(reason(fenced), "FENCED");
}

#[tokio::test(start_paused = true)]
async fn update_that_changes_nothing_commits_nothing() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    let granted = c.register(registration(FIRST_REQUEST, &["a"])).await;
    let lease_id = granted.lease.expect("a lease").lease_id;
    let update = async |change: v1::Instance, paths: &[&str]| {
        let request = v1::UpdateRequest {
            lease_id: lease_id.clone(),
            instance: Some(v1::Instance {
                endpoints: vec![],
                ..v1::Instance {
                    namespace: "shop".into(),
                    service: "pay".into(),
                    instance_id: "a".into(),
                    ..change
                }
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(|p| (*p).to_owned()).collect(),
            }),
        };
        let answer = c.registrations.clone().update(request).await;
        answer.map(|a| a.into_inner().revision)
    };
    let fields = ["weight", "self_health", "lifecycle", "metadata"];
    let same = update(v1::Instance::default(), &fields).await;
    assert_eq!(same.expect("updates"), granted.revision);
    let change = v1::Instance {
        version: "1.2.0".into(),
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    let next = update(change, &["version", "metadata"]).await;
    assert_eq!(next.expect("updates"), granted.revision + 1);
    let i = &r.instances("shop/pay")[0];
    assert_eq!((i.version.as_str(), i.weight), ("1.2.0", 100));
    assert_eq!((i.metadata["k"].as_str(), i.endpoints.len()), ("v", 1));
    let bad_version = v1::Instance {
        version: "latest".into(),
        ..Default::default()
    };
    let draining = v1::Instance {
        lifecycle: v1::Lifecycle::Draining as i32,
        ..Default::default()
    };
    for (field, change) in [
        ("version", bad_version),
        ("lifecycle", draining),
        ("incarnation", v1::Instance::default()),
    ] {
        let refused = update(change, &[field]).await;
        assert_eq!(reason(refused), "INVALID_ARGUMENT", "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn health_reports_become_verdicts() {
    let r = Registry::new();
    let (watching, owner) = (r.client(), r.client());
    let mut sub = subscribe(&watching);
    let reg = owner.register([spec("a")]).await.expect("registers");
    reg.set_health(Health::Degraded, "slow");
    reg.flush().await.expect("flushes");
    let i = &r.instances("shop/pay")[0];
    assert_eq!((i.health, i.health_slots.len()), (Health::Degraded, 1));
    assert_eq!(i.health_slots[0].reason, "slow");
    settle().await;
    let seen = reach(&mut sub, s(1), &["a"]).await;
    assert_eq!(seen.instances()[0].health, Health::Degraded);
    reg.set_health(Health::Healthy, "");
    reg.flush().await.expect("flushes");
    let i = &r.instances("shop/pay")[0];
    assert_eq!((i.health, i.health_slots.len()), (Health::Healthy, 0));
    unharmed(&watching);
    owner.close().await;
    watching.close().await;
}

type Edit = fn(&mut v1::RegisterRequest);

#[tokio::test(start_paused = true)]
async fn wrong_requests_are_refused() {
    let r = Registry::new();
    let mut c = Raw::of(&r).await;
    let wrong: [(&str, &str, Edit); 11] = [
        ("no instance", "INVALID_ARGUMENT", |q| q.instances.clear()),
        ("twice", "INVALID_ARGUMENT", |q| {
            q.instances.push(instance("a"));
        }),
        ("no id", "INVALID_ARGUMENT", |q| {
            q.instances[0].instance_id.clear();
        }),
        ("name", "INVALID_ARGUMENT", |q| {
            q.instances[0].namespace = "Shop".into();
        }),
        ("version", "INVALID_ARGUMENT", |q| {
            q.instances[0].version = "v1".into();
        }),
        ("draining", "INVALID_ARGUMENT", |q| {
            q.instances[0].lifecycle = v1::Lifecycle::Draining as i32;
        }),
        ("endpoint", "INVALID_ENDPOINT", |q| {
            q.instances[0].endpoints[0].address = "0.0.0.0:1".into();
        }),
        ("ttl", "INVALID_ARGUMENT", |q| {
            q.ttl = Some(duration_to_wire(Duration::from_millis(1)));
        }),
        ("request_id", "INVALID_ARGUMENT", |q| {
            q.request_id = "short".into();
        }),
        ("checks", "FEATURE_NOT_SERVED", |q| {
            q.instances[0].checks.push(v1::HealthCheck::default());
        }),
        ("too many", "LIMIT_EXCEEDED", |q| {
            q.instances = vec![instance("a"); 41];
        }),
    ];
    for (name, want, edit) in wrong {
        let mut request = registration(FIRST_REQUEST, &["a"]);
        edit(&mut request);
        let refused = c.registrations.register(request).await;
        assert_eq!(reason(refused), want, "{name}");
    }
    assert!(registered(&r).is_empty());
}
