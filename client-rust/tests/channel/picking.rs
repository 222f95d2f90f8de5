//! Which endpoint a request goes to, and which ones are left out.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use muster_client::tonic_0_14::{Channel, Endpoint, HashKey, Phase, PinnedInstance};
use muster_client::{Health, Lifecycle};
use tonic::{Code, Request, Status};

use super::client::{Client, Source, applied, idle, in_use, soon};
use super::memory::{Does, Host, Net, Peer};

/// Sends a request with an extension.
async fn call<T: Clone + Send + Sync + 'static>(
    channel: &Channel,
    extension: T,
) -> Result<Bytes, Status> {
    let mut request = Request::new(Bytes::new());
    request.extensions_mut().insert(extension);
    let answer = Client::new(channel).send("/t/echo", request).await?;
    Ok(answer.into_inner())
}

/// Where requests go, by the name of the peer.
async fn spread(channel: &Channel, count: usize) -> BTreeMap<Bytes, usize> {
    let mut counts = BTreeMap::new();
    let mut client = Client::new(channel);
    for _ in 0..count {
        let name = client.unary("/t/echo", "").await.unwrap();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn echoes(net: &Net, names: &[&str]) {
    for name in names {
        net.peer(&format!("{name}:1"), Peer::new(name, Does::Echoes));
    }
}

#[tokio::test(start_paused = true)]
async fn the_less_loaded_of_two_is_picked() {
    let net = Net::default();
    let slow = net.peer("a:1", Peer::new("a", Does::Hangs));
    echoes(&net, &["b"]);
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    let mut client = Client::new(&channel);
    let waiting = tokio::spawn(async move { client.unary("/t/hang", "x").await });
    slow.requested(1).await;
    source.weigh(&[("a:1", 1), ("b:1", 1)]);
    in_use(&channel, 2).await;
    assert_eq!(spread(&channel, 50).await, [("b".into(), 50)].into());
    waiting.abort();
    drop(waiting.await);
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn streams_weigh_until_they_end() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Starts));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 1).await;
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    assert_eq!(channel.endpoints()[0].in_flight, 1);
    peer.finish();
    while stream.message().await.unwrap().is_some() {}
    idle(&channel).await;
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_eject_and_ten_seconds_bring_back() {
    let net = Net::default();
    echoes(&net, &["b", "c"]);
    let bad = net.peer("a:1", Peer::new("a", Does::Ends("14")));
    let source = Source::of(&["a:1", "b:1", "c:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 3).await;
    let mut client = Client::new(&channel);
    for _ in 0..100 {
        drop(client.unary("/t/echo", "").await);
    }
    let met = bad.requests().len();
    assert!((5..=6).contains(&met), "{met} requests met the bad one");
    in_use(&channel, 2).await;
    let told = channel.explain_pick().instances;
    assert_eq!((told[0].step, told[0].weight), ("EJECTED", 0));
    assert_eq!(told[0].state, Some(Phase::Ready), "its connection stays");

    bad.now_does(Does::Echoes);
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(!spread(&channel, 30).await.contains_key(&b"a"[..]));
    tokio::time::advance(Duration::from_millis(1_001)).await;
    in_use(&channel, 3).await;
    assert!(spread(&channel, 60).await.contains_key(&b"a"[..]));
}

#[tokio::test(start_paused = true)]
async fn an_ejected_endpoint_that_registers_anew_is_picked_at_once() {
    let net = Net::default();
    echoes(&net, &["b", "c"]);
    net.peer("a:1", Peer::new("a", Does::Ends("14")));
    let source = Source::of(&["a:1", "b:1", "c:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 3).await;
    let mut client = Client::new(&channel);
    for _ in 0..100 {
        drop(client.unary("/t/echo", "").await);
    }
    in_use(&channel, 2).await;
    let mut all = ["a:1", "b:1", "c:1"].map(|address| Endpoint::plaintext(address, 1));
    all[0].generation = 7;
    let generation = source.show(all.to_vec());
    applied(&channel, generation).await;
    in_use(&channel, 3).await;
}

#[tokio::test(start_paused = true)]
async fn codes_that_tell_of_the_call_eject_nobody() {
    let net = Net::default();
    let peer = net.peer("a:1", Peer::new("a", Does::Ends("5")));
    echoes(&net, &["b"]);
    let source = Source::of(&["a:1", "b:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 2).await;
    let mut client = Client::new(&channel);
    for _ in 0..60 {
        drop(client.unary("/t/echo", "").await);
    }
    assert!(peer.requests().len() > 6);
    assert_eq!(channel.explain_pick().instances[0].step, "PICKED");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_silent_to_deadlines_is_ejected() {
    let net = Net::default();
    let silent = net.peer("a:1", Peer::new("a", Does::Hangs));
    echoes(&net, &["b", "c"]);
    let source = Source::of(&["a:1", "b:1", "c:1"]);
    let channel = source.channel(net.options());
    in_use(&channel, 3).await;
    let mut client = Client::new(&channel);
    for _ in 0..60 {
        let request = super::client::within_ms("", 100);
        drop(client.send("/t/echo", request).await);
    }
    let met = silent.requests().len();
    assert!((5..=6).contains(&met), "{met} requests met the silent one");
    assert_eq!(channel.explain_pick().instances[0].step, "EJECTED");
}

#[tokio::test(start_paused = true)]
async fn the_unhealthy_are_left_out_while_enough_are_healthy() {
    let net = Net::default();
    echoes(&net, &["a", "b", "c"]);
    let source = Source::unknown();
    let channel = source.channel(net.options());
    let mut all = ["a:1", "b:1", "c:1"].map(|address| Endpoint::plaintext(address, 1));
    all[0].health = Health::Unhealthy;
    source.show(all.to_vec());
    in_use(&channel, 2).await;
    assert!(!spread(&channel, 30).await.contains_key(&b"a"[..]));
    let told = channel.explain_pick();
    assert_eq!((told.healthy, told.total, told.panicking), (2, 3, false));
    all[1].health = Health::Unhealthy;
    source.show(all.to_vec());
    in_use(&channel, 3).await;
    assert_eq!(spread(&channel, 100).await.len(), 3, "health is ignored");
    let told = channel.explain_pick();
    assert_eq!((told.healthy, told.total, told.panicking), (1, 3, true));
    for name in ["a:1", "b:1", "c:1"] {
        assert_eq!(net.attempts(name).len(), 1, "health costs no connection");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_equal_keys_go_to_one_instance() {
    let net = Net::default();
    let names = ["a", "b", "c", "d"];
    echoes(&net, &names);
    let addresses = names.map(|name| format!("{name}:1"));
    let source = Source::of(&addresses.each_ref().map(String::as_str));
    let channel = source.channel(net.options());
    in_use(&channel, 4).await;
    let mut homes = BTreeMap::new();
    for key in 0..40 {
        let home = call(&channel, HashKey::new(key.to_string())).await.unwrap();
        for _ in 0..3 {
            let again = call(&channel, HashKey::new(key.to_string())).await;
            assert_eq!(again.unwrap(), home, "key {key}");
        }
        homes.insert(key, home);
    }
    // One goes: keys of the others stay where they are, but for a few.
    let left: Vec<_> = addresses[1..].iter().map(|a| (a.as_str(), 1)).collect();
    let generation = source.weigh(&left);
    applied(&channel, generation).await;
    let mut moved = 0;
    for (key, home) in &homes {
        let now = call(&channel, HashKey::new(key.to_string())).await.unwrap();
        moved += usize::from(home != "a" && now != home);
    }
    assert!(moved <= 4, "{moved} keys moved without need");
}

#[tokio::test(start_paused = true)]
async fn a_pinned_request_goes_to_its_instance_or_says_why_not() {
    let net = Net::default();
    echoes(&net, &["a", "b"]);
    net.set("c:1", Host::Refuses);
    let source = Source::unknown();
    let channel = source.channel(net.options());
    let mut all = ["a:1", "b:1", "c:1", "d:1", "e:1"].map(|a| Endpoint::plaintext(a, 1));
    all[0].health = Health::Unhealthy;
    all[3].lifecycle = Lifecycle::Draining;
    all[4].lifecycle = Lifecycle::Starting;
    source.show(all.to_vec());
    in_use(&channel, 1).await;
    soon(channel.until(|all| all[2].failures > 0 && all[0].phase == Phase::Ready)).await;
    for _ in 0..10 {
        let answer = call(&channel, PinnedInstance::new("a:1")).await;
        assert_eq!(answer.unwrap(), "a", "whatever its health");
    }
    for (id, want) in [
        (
            "c:1",
            "instance \"c:1\" of shop/pay cannot be reached: c:1: connection refused; still \
             retrying [NO_READY_ENDPOINT]",
        ),
        (
            "d:1",
            "instance \"d:1\" of shop/pay takes no requests: it is draining [NO_INSTANCES]",
        ),
        (
            "e:1",
            "instance \"e:1\" of shop/pay takes no requests: it is starting [NO_INSTANCES]",
        ),
        (
            "f:1",
            "shop/pay has no instance \"f:1\" (epoch 0, revision 0) [INSTANCE_UNKNOWN]",
        ),
    ] {
        let status = call(&channel, PinnedInstance::new(id)).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, want),
            "{id}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_explanation_tells_the_step_of_every_instance() {
    let net = Net::default();
    echoes(&net, &["a"]);
    net.set("b:1", Host::Refuses);
    let source = Source::unknown();
    let channel = source.channel(net.options());
    let told = channel.explain_pick();
    assert_eq!(
        told.to_string(),
        "shop/pay, epoch 0, revision 0: 0 of 0 healthy"
    );
    let mut all = ["a:1", "b:1", "c:1"].map(|address| Endpoint::plaintext(address, 2));
    all[2].weight = 0;
    source.show(all.to_vec());
    in_use(&channel, 1).await;
    soon(channel.until(|all| all[1].failures > 0)).await;
    soon(async {
        while channel.explain_pick().instances[1].step != "EJECTED" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(
        channel.explain_pick().to_string(),
        "shop/pay, epoch 0, revision 0: 1 of 2 healthy\n\
         a:1 a:1 PICKED weight=131072 in_flight=0 READY\n\
         b:1 b:1 EJECTED weight=0 in_flight=0 BACKOFF (connection refused)\n\
         c:1 c:1 WEIGHTLESS weight=0 in_flight=0 IDLE"
    );
    source.weigh(&[]);
    in_use(&channel, 0).await;
    let error = channel.explain_pick().error.expect("calls fail");
    assert_eq!(
        error.to_string(),
        "muster: shop/pay has no instances: nobody is registered [NO_INSTANCES]"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_trailers_is_internal() {
    let net = Net::default();
    net.peer("a:1", Peer::new("a", Does::EndsWithoutTrailers));
    let source = Source::of(&["a:1"]);
    let channel = source.channel(net.options());
    let mut client = Client::new(&channel);
    let mut stream = client
        .server_streaming("/t/repeat", Request::new("x".into()))
        .await
        .unwrap();
    assert_eq!(stream.message().await.unwrap().unwrap(), "one");
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(status.message(), "a:1 ended its answer without trailers");
    idle(&channel).await;
}
