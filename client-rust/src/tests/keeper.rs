//! Rules of keepalives, drains and the end of a client.

use std::time::Duration;

use muster_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, Scripted, What};
use super::registration::{keepalives, next_status, registers, spec, until_status};
use crate::{Lifecycle, Reason, RegistrationState as State};

fn keepalives_at(fake: &Fake) -> Vec<(usize, Duration)> {
    let state = fake.lock();
    let first = state.calls.first().map(|c| c.at);
    let calls = state.calls.iter();
    calls
        .filter(|c| keepalives(&c.what).is_some())
        .map(|c| (c.server, c.at - first.expect("a call")))
        .collect()
}

fn drains(w: &What) -> Option<v1::DrainRequest> {
    match w {
        What::Drain(r) => Some(r.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn one_stream_carries_all_leases_in_batches() {
    let fake = Fake::new(1);
    let client = fake
        .builder()
        .words(std::sync::Arc::new(|| 0)) // no jitter: all are due together
        .build()
        .expect("a client");
    for n in 0..300 {
        client
            .register([spec(&format!("pay-{n}"))])
            .await
            .expect("registered");
    }
    fake.until(|s| {
        let sent = s.calls.iter().filter_map(|c| keepalives(&c.what));
        (sent.map(|k| k.lease_ids.len()).sum::<usize>() >= 300).then_some(())
    })
    .await;
    let sizes: Vec<usize> = fake
        .calls(keepalives)
        .iter()
        .map(|k| k.lease_ids.len())
        .collect();
    assert_eq!(sizes, [256, 44]);
    assert_eq!(client.stats().keepalive_streams, 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn batches_keep_to_the_servers_limit() {
    let fake = Fake::new(1);
    fake.lock().limits = Some(v1::Limits {
        leases_per_keepalive: 2,
        ..Default::default()
    });
    let client = fake
        .builder()
        .words(std::sync::Arc::new(|| 0))
        .build()
        .expect("a client");
    for n in 0..5 {
        let spec = spec(&format!("pay-{n}"));
        client.register([spec]).await.expect("registered");
    }
    sleep(Duration::from_millis(5_500)).await;
    let sent = fake.calls(keepalives);
    let sizes: Vec<usize> = sent.iter().map(|k| k.lease_ids.len()).collect();
    assert_eq!(sizes, [2, 2, 1]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn leases_that_are_not_due_together_travel_apart() {
    let fake = Fake::new(1);
    let client = fake.client();
    client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(1)).await;
    client.register([spec("pay-2")]).await.expect("registered");
    sleep(Duration::from_millis(8_200)).await;
    let sizes: Vec<usize> = fake
        .calls(keepalives)
        .iter()
        .map(|k| k.lease_ids.len())
        .collect();
    assert_eq!(sizes, [1, 1, 1]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn unanswered_keepalive_breaks_the_stream_and_moves_on() {
    let fake = Fake::new(2);
    fake.lock().mute.push(0);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    assert_eq!(next_status(&mut reg).await.state, State::Unconfirmed);
    let status = reg.status();
    assert!(
        status.reason.contains("left a keepalive unanswered for 5s"),
        "{}",
        status.reason
    );
    assert_eq!(status.error.expect("why").reason(), Reason::Deadline);
    assert_eq!(next_status(&mut reg).await.state, State::Active);
    let at = keepalives_at(&fake);
    assert_eq!((at[0].0, at[1].0), (0, 1));
    let gap = at[1].1 - at[0].1;
    assert!(
        gap >= Duration::from_secs(5) && gap <= Duration::from_millis(5_150),
        "a third of the TTL, then at most 100 ms: {gap:?}"
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn server_restart_costs_no_lease() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(5)).await;
    fake.place(0).stop();
    assert_eq!(next_status(&mut reg).await.state, State::Unconfirmed);
    sleep(Duration::from_secs(3)).await;
    fake.place(0).start();
    let began = Instant::now();
    until_status(&mut reg, |s| s.state == State::Active).await;
    assert!(began.elapsed() <= Duration::from_secs(5));
    assert_eq!(fake.calls(registers).len(), 1, "the same lease lives on");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn reconnecting_backs_off_within_a_third_of_the_ttl() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.place(0).stop();
    sleep(Duration::from_secs(120)).await;
    fake.place(0).start();
    let began = Instant::now();
    fake.next_call(keepalives).await;
    assert!(
        began.elapsed() <= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        fake.only_lease().lease.incarnation,
        reg.status().incarnation
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn one_unconfirmed_answer_does_not_move() {
    let fake = Fake::new(2);
    fake.lock().unconfirmed.insert(0, Duration::from_secs(1));
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    assert_eq!(next_status(&mut reg).await.state, State::Unconfirmed);
    let reason = reg.status().reason;
    assert_eq!(
        reason,
        "the server cannot confirm the lease (VIEW_OLD); next try in 1s"
    );
    fake.lock().unconfirmed.clear();
    assert_eq!(next_status(&mut reg).await.state, State::Active);
    let at = keepalives_at(&fake);
    assert_eq!((at[0].0, at[1].0), (0, 0));
    assert_eq!((at[1].1 - at[0].1).as_millis() / 10, 100);
    assert_eq!(client.stats().keepalive_streams, 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_stays_then_tries_each_other_server_once_per_ttl() {
    let fake = Fake::new(3);
    for server in 0..3 {
        let retry = Duration::from_secs(1);
        fake.lock().unconfirmed.insert(server, retry);
    }
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(reg.status().state, State::Unconfirmed);
    let servers: Vec<usize> = keepalives_at(&fake).iter().map(|(s, _)| *s).collect();
    assert_eq!(servers[..2], [0, 0], "two in a row before it moves");
    let moves: Vec<(usize, usize)> = servers
        .windows(2)
        .filter(|w| w[0] != w[1])
        .map(|w| (w[0], w[1]))
        .collect();
    // In 60 s: each of the two others at most once per TTL of 15 s, and back.
    assert!((2..=12).contains(&moves.len()), "{moves:?}");
    assert!(moves.contains(&(0, 1)));
    assert_eq!(fake.calls(registers).len(), 1, "nothing is lost");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn failover_to_another_server() {
    let fake = Fake::new(2);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(5)).await;
    fake.place(0).stop();
    assert_eq!(next_status(&mut reg).await.state, State::Unconfirmed);
    let began = Instant::now();
    assert_eq!(next_status(&mut reg).await.state, State::Active);
    assert!(
        began.elapsed() <= Duration::from_millis(200),
        "the first reconnect waits at most 100 ms: {:?}",
        began.elapsed()
    );
    assert_eq!(client.status().server, "s1:7070");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lease_of_another_registration_is_not_disturbed() {
    let fake = Fake::new(1);
    let client = fake.client();
    let a = client.register([spec("pay-1")]).await.expect("registered");
    let b = client.register([spec("pay-2")]).await.expect("registered");
    let lost = format!("{:04}-secret", a.status().incarnation);
    fake.expire(&lost);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(b.status().incarnation, 12, "as it was");
    assert_eq!(a.status().incarnation, 13, "registered again");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn close_deregisters_and_half_closes_the_keepalive_stream() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(20)).await;
    client.close().await;
    client.clone().close().await;
    assert!(fake.lock().leases.is_empty());
    assert_eq!(reg.status().state, State::Closed);
    let calls = fake.lock().calls.clone();
    assert!(
        calls
            .iter()
            .any(|c| matches!(c.what, What::KeepAliveHalfClosed))
    );
    assert!(
        !calls
            .iter()
            .any(|c| matches!(c.what, What::KeepAliveBroken)),
        "it is not broken off"
    );
}

#[tokio::test(start_paused = true)]
async fn everything_after_close_is_closed() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    let sub = client
        .subscribe(crate::Selector::service("shop", "pay"))
        .expect("subscribed");
    client.close().await;
    let errors = [
        client.ready().await.expect_err("closed"),
        client.register([spec("pay-2")]).await.expect_err("closed"),
        client
            .lookup(crate::Selector::service("shop", "pay"))
            .await
            .expect_err("closed"),
        client
            .subscribe(crate::Selector::service("shop", "pay"))
            .expect_err("closed"),
        sub.error().expect("closed"),
        reg.drain(Duration::from_secs(1)).await.expect_err("closed"),
        reg.status().error.expect("closed"),
    ];
    for e in errors {
        assert_eq!(e.reason(), Reason::Closed, "{e}");
    }
    reg.deregister().await.expect("it is gone already");
}

#[tokio::test(start_paused = true)]
async fn close_is_bounded_without_any_server() {
    let fake = Fake::new(1);
    let client = fake.client();
    client.register([spec("pay-1")]).await.expect("registered");
    let sub = client
        .subscribe(crate::Selector::service("shop", "pay"))
        .expect("subscribed");
    fake.place(0).silence();
    let began = Instant::now();
    client.close().await;
    assert!(
        began.elapsed() <= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(sub.error().expect("closed").reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_deregisters() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    drop(client.clone());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(reg.status().state, State::Active);
    drop(client);
    fake.until(|s| s.leases.is_empty().then_some(())).await;
    let mut reg = reg;
    until_status(&mut reg, |s| s.state.is_final()).await;
    assert_eq!(reg.status().state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_gives_up_after_a_second() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.script("deregister", Scripted::Hang);
    drop(client);
    let began = Instant::now();
    until_status(&mut reg, |s| s.state.is_final()).await;
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(reg.status().state, State::Closed);
    assert_eq!(fake.lock().leases.len(), 1, "it expires by its TTL");
}

#[tokio::test(start_paused = true)]
async fn drain_reports() {
    let fake = Fake::new(1);
    fake.lock().drain = v1::DrainResponse {
        result: v1::DrainResult::Deadline as i32,
        confirmed: 12,
        behind: 2,
        behind_watchers: vec![v1::DrainWatcher {
            client_name: "go-orders-3".into(),
            address: "10.0.0.9:4000".into(),
        }],
        safe_after: Some(prost_types::Duration {
            seconds: 2,
            nanos: 0,
        }),
        ..Default::default()
    };
    fake.script("drain", Scripted::Delay(Duration::from_secs(5)));
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    let report = reg.drain(Duration::from_secs(5)).await.expect("a report");
    assert!(!report.complete);
    assert_eq!(report.behind_watchers[0].address, "10.0.0.9:4000");
    assert_eq!(report.safe_after, Duration::from_secs(2));
    assert_eq!(
        report.to_string(),
        "2 of 14 unconfirmed after 5s: go-orders-3 …"
    );
    let sent = fake.calls(drains).pop().expect("a drain");
    let timeout = sent.timeout.expect("a timeout");
    assert_eq!((timeout.seconds, timeout.nanos), (5, 0));
    // It stays registered, and draining is not undone by anything.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(reg.status().state, State::Active);
    assert!(fake.calls(super::registration::updates).is_empty());
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn drain_is_repeated_elsewhere_with_the_time_that_is_left() {
    let fake = Fake::new(2);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.script("drain", Scripted::Hang);
    let drain = tokio::spawn({
        let reg = reg.clone();
        async move { reg.drain(Duration::from_secs(10)).await }
    });
    fake.next_call(drains).await;
    sleep(Duration::from_secs(4)).await;
    fake.place(0).stop();
    let report = drain.await.expect("joined").expect("a report");
    assert_eq!(report.took.as_secs(), 4);
    let left = fake.calls(drains)[1].timeout.expect("a timeout");
    assert_eq!(left.seconds, 6, "10 s less 4 s");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lease_lost_while_draining_is_not_registered_again() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    reg.drain(Duration::from_secs(1)).await.expect("a report");
    let id = fake.only_lease().lease.lease_id;
    fake.expire(&id);
    until_status(&mut reg, |s| s.state.is_final()).await;
    assert_eq!(reg.status().state, State::Deregistered);
    assert_eq!(
        reg.status().reason,
        "lease 0011 was lost while draining; not registered again"
    );
    assert_eq!(fake.calls(registers).len(), 1);
    reg.deregister().await.expect("it is gone already");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn serving_again_ends_a_drain() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.fail("drain", Code::Aborted, "DRAIN_CANCELLED");
    let e = reg
        .drain(Duration::from_secs(1))
        .await
        .expect_err("cancelled");
    assert_eq!(e.reason(), Reason::DrainCancelled);
    reg.drain(Duration::from_secs(1)).await.expect("a report");
    reg.set_lifecycle(Lifecycle::Serving);
    reg.flush().await.expect("flushed");
    let sent = fake.calls(super::registration::updates).pop();
    let sent = sent.expect("an update").instance.expect("an instance");
    assert_eq!(sent.lifecycle, v1::Lifecycle::Serving as i32);
    // Its lease is replaced again when it is lost.
    let id = fake.only_lease().lease.lease_id;
    fake.expire(&id);
    fake.until(|s| s.leases.values().next().map(|_| ())).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_with_a_server_down_is_not_a_tight_loop() {
    let fake = Fake::new(3);
    for server in 0..2 {
        let retry = Duration::from_secs(1);
        fake.lock().unconfirmed.insert(server, retry);
    }
    fake.place(2).stop();
    let client = fake.client();
    client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(60)).await;
    let streams = client.stats().keepalive_streams;
    assert!(streams <= 12, "{streams} streams in 4 TTLs");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_connections() {
    let fake = Fake::new(1);
    let client = fake.client();
    let _sub = client
        .subscribe(crate::Selector::service("shop", "pay"))
        .expect("subscribed");
    fake.place(0).silence();
    sleep(Duration::from_secs(1)).await; // in the middle of connecting
    let began = Instant::now();
    client.close().await;
    assert_eq!(began.elapsed().as_millis(), 0);
}
