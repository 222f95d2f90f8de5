//! Rules of servers, failover and lookups.

use std::time::Duration;

use muster_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, Scripted, What};
use super::registration::spec;
use crate::testset::Model;
use crate::{Intent, Position, Reason, Selector, ServiceName};

fn pay() -> Selector {
    Selector::service("shop", "pay")
}

fn lookups(w: &What) -> Option<v1::LookupRequest> {
    match w {
        What::Lookup(r) => Some(r.clone()),
        _ => None,
    }
}

/// What a server answers of a model.
pub(crate) fn answer(m: &Model) -> v1::LookupResponse {
    v1::LookupResponse {
        header: Some(m.header()),
        instances: m.instances.values().cloned().collect(),
        services: m.states.values().cloned().collect(),
        result: v1::LookupResult::Full as i32,
        ..Default::default()
    }
}

#[tokio::test(start_paused = true)]
async fn build_does_no_io() {
    let fake = Fake::new(1);
    fake.place(0).stop();
    let client = fake.client();
    sleep(Duration::from_secs(60)).await;
    assert!(client.status().error.is_none());
    assert_eq!(client.status().server, "s0:7070");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn story_1_no_server() {
    let fake = Fake::new(2);
    fake.place(0).stop();
    fake.place(1).silence();
    let client = fake.client();
    let began = Instant::now();
    let e = client.ready().await.expect_err("no server");
    assert_eq!(e.reason(), Reason::NoServer);
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(
        e.to_string(),
        "muster: no registry server reachable: s0:7070 (connection refused), s1:7070 (no answer within 3s); \
         2 attempts in 3s, gave up. Is \"muster server\" running? [NO_SERVER]"
    );
    let status = client.status().error.expect("an outage");
    assert!(status.to_string().contains("still retrying"), "{status}");
    fake.place(0).start();
    client.ready().await.expect("it is back");
    assert!(client.status().error.is_none());
    assert_eq!(client.status().cluster_id, "c1");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn register_without_server_gives_the_same_error() {
    let fake = Fake::new(1);
    fake.place(0).stop();
    let client = fake.client();
    let e = client
        .register([spec("pay-1")])
        .await
        .expect_err("no server");
    assert_eq!(e.reason(), Reason::NoServer);
    let text = e.to_string();
    assert!(text.contains("s0:7070 (connection refused)"), "{text}");
    assert!(text.contains("gave up"), "{text}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn server_of_another_cluster_is_an_error() {
    let fake = Fake::new(2);
    let client = fake.client();
    client.ready().await.expect("ready");
    fake.lock().cluster_ids.insert(1, "c2".into());
    fake.place(0).stop();
    fake.fail("lookup", Code::Unavailable, "ISOLATED");
    let e = client.lookup(pay()).await.expect_err("no server of ours");
    assert_eq!(e.reason(), Reason::NoServer);
    assert!(
        e.to_string()
            .contains("server s1:7070 belongs to cluster c2, expected c1; trying others. Check the server list"),
        "{e}"
    );
    assert!(fake.calls(lookups).is_empty());
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn server_of_another_protocol_is_an_error() {
    let fake = Fake::new(1);
    fake.lock().protocols = (2, 3);
    let client = fake.client();
    let e = client.ready().await.expect_err("too new");
    assert!(
        e.to_string()
            .contains("server s0:7070 serves protocol versions 2 to 3, this client speaks 1"),
        "{e}"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn server_that_accepts_and_never_answers_is_passed_by() {
    let fake = Fake::new(2);
    fake.place(0).silence();
    let client = fake.client();
    let began = Instant::now();
    client.register([spec("pay-1")]).await.expect("registered");
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(client.status().server, "s1:7070");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn calls_shorter_than_a_round_get_to_each_server() {
    let fake = Fake::new(3);
    fake.place(0).silence();
    fake.place(1).silence();
    fake.lock().lookup = answer(&Model::with(1, 10, &["a"]));
    let client = fake.client();
    let within = Duration::from_secs(4);
    let e = client.lookup(pay()).timeout(within).await;
    assert_eq!(e.expect_err("two are silent").reason(), Reason::Deadline);
    let view = client.lookup(pay()).timeout(within).await;
    view.expect("the third answers");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn calls_fail_over_at_once_then_back_off() {
    let fake = Fake::new(2);
    fake.lock().lookup = answer(&Model::with(1, 10, &["a"]));
    for _ in 0..3 {
        fake.fail("lookup", Code::Unavailable, "SHUTTING_DOWN");
    }
    let client = fake.client();
    client.ready().await.expect("ready");
    let began = Instant::now();
    client.lookup(pay()).await.expect("an answer");
    let calls = fake.lock().calls.clone();
    let at: Vec<(usize, u128)> = calls
        .iter()
        .map(|c| (c.server, (c.at - began).as_millis()))
        .collect();
    assert_eq!((at[0].0, at[1].0, at[2].0, at[3].0), (0, 1, 0, 1));
    assert!(at[1].1 < 5, "the other server at once: {at:?}");
    assert!((50..205).contains(&at[2].1), "then a wait: {at:?}");
    assert!(at[3].1 - at[2].1 < 5, "{at:?}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn call_without_answer_ends_at_its_deadline() {
    let fake = Fake::new(1);
    let client = fake.client();
    fake.script("lookup", Scripted::Hang);
    let began = Instant::now();
    let e = client.lookup(pay()).await.expect_err("no answer");
    assert_eq!(e.reason(), Reason::Deadline);
    assert_eq!(began.elapsed().as_secs(), 5);
    fake.script("lookup", Scripted::Hang);
    let short = client.lookup(pay()).timeout(Duration::from_millis(300));
    let began = Instant::now();
    let e = short.await.expect_err("no answer");
    assert_eq!(
        e.to_string(),
        "muster: lookup shop/pay: the deadline passed [DEADLINE]"
    );
    assert_eq!(began.elapsed().as_millis() / 10, 30);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_sees_own_writes() {
    let fake = Fake::new(1);
    fake.lock().lookup = answer(&Model::with(1, 10, &["a"]));
    let client = fake.client();
    let view = client.lookup(pay()).await.expect("a view");
    assert_eq!(view.instances().len(), 1);
    assert_eq!(view.position(), Position::new(1, 10));
    assert_eq!(view.intent(), Intent::Present);
    client.register([spec("pay-1")]).await.expect("registered");
    client.lookup(pay()).await.expect("a view");
    // The history is another one now: the position is dropped.
    fake.fail("lookup", Code::Aborted, "EPOCH_CHANGED");
    client.lookup(pay()).await.expect("a view");
    client.lookup(pay()).await.expect("a view");
    let own = Position::new(9, 9);
    client
        .lookup(pay())
        .min_position(own)
        .linearizable()
        .await
        .expect("a view");
    let at: Vec<Option<(u64, u64)>> = fake
        .calls(lookups)
        .iter()
        .map(|r| r.min_position.map(|p| (p.epoch, p.revision)))
        .collect();
    assert_eq!(
        at,
        [None, Some((1, 11)), Some((1, 11)), None, None, Some((9, 9))]
    );
    let last = fake.calls(lookups).pop().expect("a lookup");
    assert_eq!(last.consistency, v1::Consistency::Linearizable as i32);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_tells_of_another_epoch_than_the_callers() {
    let fake = Fake::new(1);
    let client = fake.client();
    fake.fail("lookup", Code::Aborted, "EPOCH_CHANGED");
    let at = Position::new(3, 1);
    let e = client
        .lookup(pay())
        .min_position(at)
        .await
        .expect_err("another epoch");
    assert_eq!(e.reason(), Reason::EpochChanged);
    assert_eq!(fake.calls(lookups).len(), 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_verifies_the_digest() {
    let fake = Fake::new(1);
    let mut bad = answer(&Model::with(1, 10, &["a"]));
    bad.header.as_mut().expect("a header").digest ^= 1;
    fake.lock().lookup = bad;
    let client = fake.client();
    let e = client.lookup(pay()).await.expect_err("it does not match");
    assert_eq!(e.reason(), Reason::ProtocolViolation);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_of_an_unknown_service_is_no_error() {
    let fake = Fake::new(1);
    fake.lock().lookup = answer(&Model::new(7, 812));
    let client = fake.client();
    let view = client.lookup(pay()).await.expect("a view");
    assert_eq!(view.intent(), Intent::NeverSeen);
    let why = view
        .why(&ServiceName::new("shop", "pay"))
        .expect("an error");
    assert_eq!(
        why.to_string(),
        "muster: service \"shop/pay\" has never been registered (epoch 7, revision 812) [SERVICE_UNKNOWN]"
    );
    client.close().await;
}

#[test]
fn client_may_outlive_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let fake = Fake::new(1);
    let (client, reg) = runtime.block_on(async {
        let client = fake.client();
        let reg = client.register([spec("pay-1")]).await.expect("registered");
        (client, reg)
    });
    drop(runtime);
    reg.set_weight(3);
    assert_eq!(client.status().registrations, 0, "its driver is gone");
    assert_eq!(reg.status().state, crate::RegistrationState::Closed);
    drop(client);
}
