//! What an observer is told, and what it sends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use muster_proto::v1;
use muster_proto::v1::RemovalReason as Why;
use muster_proto::v1::SnapshotCause as Cause;
use tokio::time::sleep;

use super::fake::Fake;
use super::registration::spec;
use super::watch::{grown, ids, pay, until_view};
use crate::observer::Header;
use crate::telemetry::result_of;
use crate::testset::{Model, VIEW};
use crate::{Client, Error, Event, FrameKind, Observer, Update};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

tokio::task_local! {
    static TRACE: &'static str;
}

/// Keeps what it is told, as lines.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Observer for Recorder {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().expect("a lock").extend(line(event));
    }

    fn headers(&self) -> Vec<Header> {
        TRACE.try_with(|t| *t).map_or(Vec::new(), |t| {
            vec![
                Header::new("traceparent", t),
                Header::new("muster-client", "no"),
                Header::new("Upper", "no"),
            ]
        })
    }
}

impl Recorder {
    /// The lines so far that begin with one of these words; forgets all.
    fn take(&self, words: &[&str]) -> Vec<String> {
        let all = std::mem::take(&mut *self.0.lock().expect("a lock"));
        let wanted = |line: &String| words.iter().any(|w| line.starts_with(w));
        all.into_iter().filter(wanted).collect()
    }
}

fn line(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::CallFinished {
            op,
            subject,
            server,
            result,
            attempts,
            headers,
            ..
        } => {
            let traced = headers.iter().map(|h| h.name.as_str());
            let traced = traced.collect::<String>();
            format!("call {op} {subject} {server} {result} {attempts} [{traced}]")
        }
        Event::RegistrationChanged {
            subject, from, to, ..
        } => format!("state {subject} {from}->{to}"),
        Event::FrameApplied {
            frame,
            entries,
            traces,
            ..
        } => match frame {
            FrameKind::Delta if !traces.is_empty() => format!("frame {frame} {traces:?}"),
            _ => format!("frame {frame} {entries}"),
        },
        Event::FrameRejected { fault, .. } => format!("frame rejected {fault}"),
        Event::ViewFreshnessChanged { selector, from, to } => {
            format!("freshness {selector} {from}->{to}")
        }
        Event::ServerConnected { server, .. } => format!("stream connected {server}"),
        Event::ServerFailed { server, .. } => format!("stream failed {server}"),
        Event::StreamOpened { stream, .. } => format!("stream opened {stream}"),
        Event::StreamEnded { stream, result, .. } => format!("stream ended {stream} {result}"),
        _ => return None,
    })
}

fn observed(fake: &Fake) -> (Client, Recorder) {
    let seen = Recorder::default();
    let client = fake.builder().observer(seen.clone()).build();
    (client.expect("a client"), seen)
}

#[tokio::test(start_paused = true)]
async fn observer_is_told_of_a_registrations_life() {
    let fake = Fake::new(1);
    let (client, seen) = observed(&fake);
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(20)).await; // keepalives
    fake.expire(&fake.only_lease().lease.lease_id);
    sleep(Duration::from_secs(20)).await;
    reg.drain(Duration::from_secs(5)).await.expect("drained");
    reg.deregister().await.expect("deregistered");
    assert_eq!(
        seen.take(&["call", "state"]),
        [
            "call register shop/pay/pay-1 s0:7070 OK 1 []",
            "state shop/pay/pay-1 REGISTERING->ACTIVE",
            "state shop/pay/pay-1 ACTIVE->REGISTERING",
            "call register shop/pay/pay-1 s0:7070 OK 1 []",
            "state shop/pay/pay-1 REGISTERING->ACTIVE",
            "call drain shop/pay/pay-1 s0:7070 OK 1 []",
            "call deregister shop/pay/pay-1 s0:7070 OK 1 []",
            "state shop/pay/pay-1 ACTIVE->DEREGISTERED",
        ]
    );
    let s = client.stats();
    assert_eq!((s.calls, s.call_attempts, s.call_failures), (4, 4, 0));
    assert_eq!((s.reregistrations, s.lost_leases, s.drains), (1, 1, 1));
    assert_eq!(s.connections, 1);
    assert!(s.keepalives >= 4, "{s:?}");
    client.close().await;
    assert_eq!(client.stats().registrations, 0);
}

#[tokio::test(start_paused = true)]
async fn observer_is_told_of_streams_and_frames() {
    let fake = Fake::new(1);
    let (client, seen) = observed(&fake);
    let m = Model::with(1, 10, &["a"]);
    let sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    let next = grown(&m, "b");
    stream.delta(next.delta_from(&m, Why::Expired)).await;
    until_view(&sub, |v| ids(v) == ["a", "b"]).await;
    fake.place(0).stop();
    sleep(Duration::from_secs(2)).await;
    let got = seen.take(&["stream", "frame"]);
    let want = [
        "stream connected s0:7070",
        "stream opened WATCH",
        "frame SNAPSHOT 2",
        "frame DELTA 1",
        "stream ended WATCH UNAVAILABLE",
        "stream failed s0:7070",
    ];
    assert_eq!(got[..want.len()], want);
    let s = client.stats();
    assert_eq!((s.frames, s.broken_streams, s.subscriptions), (2, 1, 1));
    assert!(s.connection_failures > 0, "{s:?}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn observer_is_told_of_freshness() {
    let fake = Fake::new(1);
    let (client, seen) = observed(&fake);
    let m = Model::with(1, 10, &["a"]);
    let _sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    sleep(Duration::from_secs(1)).await;
    fake.place(0).stop();
    sleep(Duration::from_secs(660)).await;
    assert!(client.stats().oldest_view > Duration::from_secs(600));
    fake.place(0).start();
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.progress(m.progress()).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        seen.take(&["freshness"]),
        [
            "freshness shop/pay EXPIRED->FRESH",
            "freshness shop/pay FRESH->STALE",
            "freshness shop/pay STALE->EXPIRED",
            "freshness shop/pay EXPIRED->FRESH",
        ]
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn observer_is_told_of_a_mismatch() {
    let fake = Fake::new(1);
    let (client, seen) = observed(&fake);
    let m = Model::with(1, 10, &["a"]);
    let sub = client.subscribe(pay()).expect("subscribed");
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    let next = grown(&m, "b");
    let mut wrong = next.delta_from(&m, Why::Expired);
    wrong.header.as_mut().expect("a header").digest ^= 1;
    stream.delta(wrong).await;
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.snapshot(next.snapshot(Cause::First)).await;
    until_view(&sub, |v| ids(v) == ["a", "b"]).await;
    assert_eq!(
        seen.take(&["frame"]),
        [
            "frame SNAPSHOT 2",
            "frame rejected MISMATCH",
            "frame SNAPSHOT 3"
        ]
    );
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn headers_go_with_the_callers_calls() {
    let fake = Fake::new(1);
    let (client, seen) = observed(&fake);
    let reg = TRACE.scope(TRACEPARENT, async {
        client.register([spec("pay-1")]).await
    });
    let reg = reg.await.expect("registered");
    let sent = fake.lock().metadata.clone();
    assert!(
        sent.contains(&("traceparent".into(), TRACEPARENT.into())),
        "{sent:?}"
    );
    reg.set_weight(7);
    TRACE
        .scope(TRACEPARENT, reg.flush())
        .await
        .expect("flushed");
    let lookup = TRACE.scope(TRACEPARENT, async { client.lookup(pay()).await });
    // The fake answers nothing that makes a view; the call is what matters.
    let _ = lookup.await;
    fake.expire(&fake.only_lease().lease.lease_id);
    sleep(Duration::from_secs(20)).await;
    let done = TRACE.scope(TRACEPARENT, reg.deregister()).await;
    done.expect("deregistered");
    assert_eq!(
        seen.take(&["call"]),
        [
            "call register shop/pay/pay-1 s0:7070 OK 1 [traceparent]",
            "call update shop/pay/pay-1 s0:7070 OK 1 []",
            "call lookup shop/pay s0:7070 OK 1 [traceparent]",
            "call register shop/pay/pay-1 s0:7070 OK 1 []",
            "call deregister shop/pay/pay-1 s0:7070 OK 1 [traceparent]",
        ]
    );
    client.close().await;
}

#[test]
fn headers_that_others_own_are_not_sent() {
    for (name, value, want) in [
        ("traceparent", TRACEPARENT, true),
        ("baggage", "", true),
        ("b3", "a b", true),
        ("a.b_c-1", "x", true),
        ("", "x", false),
        ("Traceparent", "x", false),
        ("grpc-timeout", "1S", false),
        ("muster-client", "x", false),
        ("authorization", "x", false),
        ("x-bin", "x", false),
        ("x", "a\nb", false),
        ("x", "é", false),
        ("a b", "x", false),
    ] {
        let header = Header::new(name, value);
        assert_eq!(header.is_sendable(), want, "{header:?}");
        assert!(!want || header.to_http().is_some(), "{header:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn change_traces_reach_updates() {
    let fake = Fake::new(1);
    let (client, seen) = observed(&fake);
    let m = Model::with(1, 10, &["a"]);
    let sub = client.subscribe(pay()).expect("subscribed");
    let mut updates = sub.updates();
    let stream = fake.next_watch().await;
    stream.open(VIEW).await;
    stream.snapshot(m.snapshot(Cause::First)).await;
    updates
        .next()
        .await
        .expect("an update")
        .expect("a snapshot");
    let next = grown(&m, "b");
    let mut delta = next.delta_from(&m, Why::Expired);
    delta.traces = vec![v1::ChangeTrace {
        revision: next.revision,
        traceparent: TRACEPARENT.into(),
    }];
    stream.delta(delta).await;
    let Some(Ok(Update::Delta { traces, .. })) = updates.next().await else {
        panic!("want a delta")
    };
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].revision, next.revision);
    assert_eq!(traces[0].traceparent, TRACEPARENT);
    assert_eq!(
        seen.take(&["frame DELTA"]),
        [format!("frame DELTA {traces:?}")]
    );
    client.close().await;
}

#[tokio::test]
async fn traces_are_bounded() {
    let fake = Fake::new(1);
    let client = fake.client();
    let sub = client.subscribe(pay()).expect("subscribed");
    let mut view = crate::View::clone(&sub.view());
    for revision in 0..10_000 {
        view.position = crate::Position::new(1, revision);
        view.remember_traces(&[crate::ChangeTrace {
            revision,
            traceparent: TRACEPARENT.into(),
        }]);
    }
    assert_eq!(view.traces.len(), crate::view::TRACES_KEPT);
    let after = view.traces_after(crate::Position::new(1, 9_997));
    assert_eq!(after.len(), 2);
    view.position = crate::Position::new(2, 1);
    let other = view.traces_after(crate::Position::new(1, 9_997));
    assert_eq!(other, [], "traces of another epoch");
    client.close().await;
}

#[test]
fn results_of_calls() {
    use crate::{Code, Reason};
    let failed = |reason| Err::<(), _>(Error::new(reason, "x"));
    assert_eq!(result_of(&Ok::<(), Error>(())), "OK");
    assert_eq!(result_of(&failed(Reason::NoServer)), "NO_SERVER");
    let unknown = failed(Reason::Unknown);
    let code = unknown.as_ref().expect_err("an error").code();
    assert_eq!(result_of(&unknown), code.as_str());
    assert_eq!(Code::DataLoss.as_str(), "DATA_LOSS");
}
