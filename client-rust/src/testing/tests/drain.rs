use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::DrainResult::{Complete, Deadline};
use muster_proto::v1::SnapshotCause as Cause;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::fake::{
    FIRST_REQUEST, Raw, instance, known, reach, reason, registration, s, select_pay, settle, spec,
    subscribe, unharmed,
};
use crate::Lifecycle;
use crate::instance::duration_to_wire;
use crate::testing::Registry;

/// A Drain under way.
struct Draining(JoinHandle<(Result<v1::DrainResponse, Status>, Duration)>);

async fn drain(c: &Raw, lease_id: &str) -> Draining {
    let mut registrations = c.registrations.clone();
    let request = v1::DrainRequest {
        lease_id: lease_id.into(),
        instances: vec![],
        timeout: Some(duration_to_wire(s(8))),
    };
    let began = Instant::now();
    let answer = tokio::spawn(async move {
        let answer = registrations.drain(request).await;
        (answer.map(tonic::Response::into_inner), began.elapsed())
    });
    settle().await;
    Draining(answer)
}

impl Draining {
    /// The answer is not there yet.
    async fn pending(&self) {
        settle().await;
        assert!(!self.0.is_finished(), "answered already");
    }

    /// Waits for the answer, which comes after this long, give or take what settling took.
    async fn answer(self, result: v1::DrainResult, after: Duration) -> v1::DrainResponse {
        let (answer, took) = self.0.await.expect("joins");
        let response = answer.expect("an answer");
        assert_eq!(response.result(), result, "{response:?}");
        let late = took.saturating_sub(after);
        assert!(
            took >= after && late < Duration::from_millis(100),
            "{took:?}"
        );
        response
    }
}

async fn leased(r: &Registry) -> (Raw, String) {
    let c = Raw::of(r).await;
    let lease = c.lease("a").await;
    (c, lease)
}

fn revision(d: &v1::Delta) -> u64 {
    d.header.as_ref().expect("a header").revision
}

#[tokio::test(start_paused = true)]
async fn drain_without_watchers_is_complete_at_once() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let first = drain(&c, &lease).await.answer(Complete, s(0)).await;
    let again = drain(&c, &lease).await.answer(Complete, s(0)).await;
    assert_eq!(first.revision, again.revision);
    assert_ne!(first.revision, 0);
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_acknowledgements() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let (mut f, mut other) = (c.watch("ack", None).await, c.watch("ack", None).await);
    f.snapshot(Cause::First).await;
    other.snapshot(Cause::First).await;
    let d = drain(&c, &lease).await;
    let frame = f.delta().await;
    assert!(
        frame
            .header
            .as_ref()
            .expect("a header")
            .ack_request
            .is_some()
    );
    other.delta().await;
    d.pending().await;
    c.ack(&f, revision(&frame)).await;
    d.pending().await;
    sleep(s(1)).await;
    c.ack(&other, revision(&frame) - 1).await;
    d.pending().await;
    c.ack(&other, revision(&frame)).await;
    let response = d.answer(Complete, s(1)).await;
    assert_eq!(
        (response.confirmed, response.revision),
        (2, revision(&frame))
    );
}

#[tokio::test(start_paused = true)]
async fn drain_ends_at_its_deadline() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let mut f = c.watch("ack", None).await;
    f.snapshot(Cause::First).await;
    let response = drain(&c, &lease).await.answer(Deadline, s(8)).await;
    assert_eq!(response.behind, 1);
    assert_eq!(response.behind_watchers[0].client_name, "raw");
}

#[tokio::test(start_paused = true)]
async fn drain_passes_who_cannot_confirm() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let mut f = c.watch("", None).await;
    f.snapshot(Cause::First).await;
    let d = drain(&c, &lease).await;
    let header = f.delta().await.header.expect("a header");
    assert!(header.ack_request.is_none(), "asked for what it cannot do");
    let response = d.answer(Complete, s(0)).await;
    assert_eq!(response.unconfirmable, 1);
}

#[tokio::test(start_paused = true)]
async fn drain_waits_a_while_for_who_went_away() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let (mut before, mut during) = (c.watch("ack", None).await, c.watch("ack", None).await);
    before.snapshot(Cause::First).await;
    during.snapshot(Cause::First).await;
    drop(before);
    sleep(s(2)).await;
    let d = drain(&c, &lease).await;
    sleep(s(1)).await;
    drop(during);
    let response = d.answer(Complete, s(6)).await;
    assert_eq!(response.disconnected, 2);
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_who_comes_back_from_before() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let mut f = c.watch("ack", None).await;
    let held = known(f.snapshot(Cause::First).await.header.as_ref());
    let d = drain(&c, &lease).await;
    drop(f);
    settle().await;
    let mut back = c.watch("ack", Some(held)).await;
    let frame = back.delta().await;
    sleep(s(7)).await;
    d.pending().await;
    c.ack(&back, revision(&frame)).await;
    let response = d.answer(Complete, s(7)).await;
    assert_eq!((response.confirmed, response.disconnected), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn drain_skips_who_never_held_the_instance() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let mut selector = select_pay();
    selector.filter = Some(v1::InstanceFilter {
        instance_ids: vec!["b".into()],
        ..Default::default()
    });
    let mut f = c.watch_selector("ack", selector, None).await;
    f.snapshot(Cause::First).await;
    drain(&c, &lease).await.answer(Complete, s(0)).await;
}

#[tokio::test(start_paused = true)]
async fn drain_skips_who_acknowledged_that_the_instance_left_its_view() {
    let r = Registry::new();
    let c = Raw::of(&r).await;
    let mut request = registration(FIRST_REQUEST, &["a"]);
    request.instances[0].capabilities = vec!["refund".into()];
    let lease = c.register(request).await.lease.expect("a lease").lease_id;
    let mut selector = select_pay();
    selector.filter = Some(v1::InstanceFilter {
        capabilities: vec!["refund".into()],
        ..Default::default()
    });
    let mut f = c.watch_selector("ack", selector, None).await;
    f.snapshot(Cause::First).await;
    let request = v1::UpdateRequest {
        lease_id: lease.clone(),
        instance: Some(instance("a")),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["capabilities".into()],
        }),
    };
    let updated = c.registrations.clone().update(request).await;
    updated.expect("updated");
    let left = revision(&f.delta().await);
    c.ack(&f, left).await;
    drain(&c, &lease).await.answer(Complete, s(0)).await;
}

#[tokio::test(start_paused = true)]
async fn drain_takes_leaving_the_view_as_passing() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let mut f = c.watch("ack", None).await;
    f.snapshot(Cause::First).await;
    let d = drain(&c, &lease).await;
    f.delta().await;
    sleep(s(1)).await;
    let request = v1::UpdateWatchRequest {
        stream_id: f.opened.stream_id.clone(),
        add: vec![],
        remove: vec![1],
    };
    let taken = c.discovery.clone().update_watch(request).await;
    taken.expect("taken");
    d.answer(Complete, s(1)).await;
}

#[tokio::test(start_paused = true)]
async fn drain_is_cancelled_by_serving() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let mut f = c.watch("ack", None).await;
    f.snapshot(Cause::First).await;
    let d = drain(&c, &lease).await;
    let request = v1::UpdateRequest {
        lease_id: lease,
        instance: Some(instance("a")),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["lifecycle".into()],
        }),
    };
    let updated = c.registrations.clone().update(request).await;
    updated.expect("updates");
    let (answer, _) = d.0.await.expect("joins");
    assert_eq!(reason(answer), "DRAIN_CANCELLED");
}

#[tokio::test(start_paused = true)]
async fn drain_stands_when_the_instance_goes() {
    let r = Registry::new();
    let (c, lease) = leased(&r).await;
    let mut f = c.watch("ack", None).await;
    f.snapshot(Cause::First).await;
    let d = drain(&c, &lease).await;
    r.deregister("shop/pay/a");
    d.pending().await;
    loop {
        let frame = f.delta().await;
        c.ack(&f, revision(&frame)).await;
        if !frame.removals.is_empty() {
            break;
        }
    }
    d.answer(Complete, s(0)).await;
}

#[tokio::test(start_paused = true)]
async fn drain_of_a_real_client_is_confirmed_by_its_pickers() {
    let r = Registry::new();
    let (watching, owner) = (r.client(), r.client());
    let mut sub = subscribe(&watching);
    let picker = sub.add_picker();
    let reg = owner.register([spec("a")]).await.expect("registers");
    picker.applied(&*reach(&mut sub, s(1), &["a"]).await);
    let draining = tokio::spawn(async move { reg.drain(s(5)).await });
    settle().await;
    assert!(!draining.is_finished(), "before the picker let go");
    picker.applied(&sub.view());
    let report = draining.await.expect("joins").expect("drains");
    assert_eq!(report.confirmed, 1);
    unharmed(&watching);
    owner.close().await;
    watching.close().await;
}

#[tokio::test(start_paused = true)]
async fn registry_drains_on_its_own() {
    let r = Registry::new();
    let client = r.client();
    let mut sub = subscribe(&client);
    r.register([spec("a")]);
    r.drain("shop/pay/a");
    let view = reach(&mut sub, s(1), &["a"]).await;
    assert_eq!(view.instances()[0].lifecycle, Lifecycle::Draining);
    client.close().await;
}
