//! Rules of looking up.

use std::time::Duration;

use muster_proto::v1;
use tokio::time::{Instant, sleep};

use super::cache_files::TempDir;
use super::fake::{Fake, What};
use super::watch::{grown, ids, pay, watching};
use crate::testset::Model;
use crate::{Reason, Selector, Source};

fn answer(m: &Model) -> v1::LookupResponse {
    v1::LookupResponse {
        header: Some(m.header()),
        instances: m.instances.values().cloned().collect(),
        services: m.states.values().cloned().collect(),
        result: v1::LookupResult::Full as i32,
        ..Default::default()
    }
}

fn unchanged(m: &Model) -> v1::LookupResponse {
    v1::LookupResponse {
        header: Some(m.header()),
        result: v1::LookupResult::Unchanged as i32,
        ..Default::default()
    }
}

fn lookups(w: &What) -> Option<v1::LookupRequest> {
    match w {
        What::Lookup(r) => Some(r.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn lookup_is_not_sent_what_it_knows() {
    let fake = Fake::new(1);
    let mut m = Model::with(1, 10, &["a"]);
    fake.lock().lookup = answer(&m);
    let client = fake.client();
    let first = client.lookup(pay()).await.expect("an answer");
    m.revision = 20; // moves the revision alone
    fake.lock().lookup = unchanged(&m);
    let second = client.lookup(pay()).await.expect("an answer");
    let requests = fake.calls(lookups);
    assert_eq!(requests[0].known, None);
    let known = requests[1].known.expect("known");
    assert_eq!((known.revision, known.digest), (10, first.digest()));
    assert_eq!((second.position().revision, ids(&second)), (20, vec!["a"]));
    assert_eq!(second.source(), Source::Registry);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_asks_again_for_what_is_not_unchanged() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    fake.lock().lookup = answer(&m);
    let client = fake.client();
    client.lookup(pay()).await.expect("an answer");
    fake.lock().lookup = unchanged(&grown(&m, "b"));
    let e = client.lookup(pay()).await.expect_err("never whole");
    assert_eq!(e.reason(), Reason::ProtocolViolation);
    let known: Vec<bool> = fake
        .calls(lookups)
        .iter()
        .map(|r| r.known.is_some())
        .collect();
    assert_eq!(known, [false, true, false]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_is_stale_only_if_allowed() {
    let (fake, dir) = (Fake::new(1), TempDir::new());
    let m = Model::with(1, 10, &["a"]);
    fake.lock().lookup = answer(&m);
    let build = || fake.builder().cache_dir(dir.path()).build();
    let client = build().expect("a client");
    client.lookup(pay()).await.expect("an answer");
    sleep(Duration::from_secs(1)).await;
    fake.place(0).stop();
    let e = client.lookup(pay()).await.expect_err("without leave");
    assert_eq!(e.reason(), Reason::NoServer);
    let view = client.lookup(pay()).allow_stale().await.expect("memory");
    assert_eq!((view.source(), ids(&view)), (Source::Memory, vec!["a"]));
    assert!(view.age() >= Duration::from_secs(1));
    client.close().await;
    let other = build().expect("a client");
    let view = other.lookup(pay()).allow_stale().await.expect("disk");
    assert_eq!((view.source(), ids(&view)), (Source::Disk, vec!["a"]));
    let cart = Selector::service("shop", "cart");
    let e = other.lookup(cart).allow_stale().await.expect_err("unknown");
    assert_eq!(e.reason(), Reason::NoServer);
    other.close().await;
}

#[tokio::test(start_paused = true)]
async fn stale_lookup_tries_each_server_once() {
    let fake = Fake::new(2);
    fake.lock().lookup = answer(&Model::with(1, 10, &["a"]));
    let client = fake.client();
    client.lookup(pay()).await.expect("an answer");
    let took = async |source| {
        let began = Instant::now();
        let view = client.lookup(pay()).allow_stale().await.expect("a view");
        assert_eq!(view.source(), source);
        began.elapsed().as_secs()
    };
    fake.place(0).stop();
    assert_eq!(took(Source::Registry).await, 0, "the other server");
    fake.place(1).stop();
    assert_eq!(took(Source::Memory).await, 0, "refused by all");
    fake.place(0).start();
    fake.place(0).silence();
    assert_eq!(took(Source::Memory).await, 3, "one is silent");
    let cart = Selector::service("shop", "cart");
    let began = Instant::now();
    let e = client
        .lookup(cart)
        .allow_stale()
        .await
        .expect_err("unknown");
    assert_eq!(e.reason(), Reason::NoServer);
    assert!(began.elapsed() >= Duration::from_secs(4), "nothing known");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lookup_remembers_the_newest_view() {
    let fake = Fake::new(1);
    let m = Model::with(1, 10, &["a"]);
    fake.lock().lookup = answer(&m);
    let (client, _sub, _stream) = watching(&fake, &grown(&m, "b")).await;
    client.lookup(pay()).await.expect("an answer");
    fake.place(0).stop();
    let view = client.lookup(pay()).allow_stale().await.expect("memory");
    assert_eq!(ids(&view), ["a", "b"], "the subscription knows more");
    client.close().await;
}
