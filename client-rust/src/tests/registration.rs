//! Rules of registrations.

use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::register_request::Claim;
use tokio::time::{Instant, advance, sleep, timeout};
use tonic::Code;

use super::deregister::deregisters;
use super::fake::{Fake, Scripted, What};
use crate::status::status_of;
use crate::{
    EndpointSpec, InstanceSpec, Reason, Registration, RegistrationState as State,
    RegistrationStatus,
};

pub(crate) fn spec(id: &str) -> InstanceSpec {
    InstanceSpec::new("shop", "pay")
        .id(id)
        .endpoint(EndpointSpec::new("grpc", "10.0.0.5:8080"))
}

/// Waits for the next status.
pub(crate) async fn next_status(reg: &mut Registration) -> RegistrationStatus {
    let next = timeout(Duration::from_secs(7_200), reg.changed()).await;
    next.expect("no status came")
}

/// Waits until a registration's status satisfies this.
pub(crate) async fn until_status(
    reg: &mut Registration,
    want: impl Fn(&RegistrationStatus) -> bool,
) {
    let wait = async {
        while !want(&reg.status()) {
            reg.changed().await;
        }
    };
    let waited = timeout(Duration::from_secs(7_200), wait).await;
    waited.expect("no such status came");
}

pub(crate) fn registers(w: &What) -> Option<v1::RegisterRequest> {
    match w {
        What::Register(r) => Some(r.clone()),
        _ => None,
    }
}

pub(crate) fn updates(w: &What) -> Option<v1::UpdateRequest> {
    match w {
        What::Update(r) => Some(r.clone()),
        _ => None,
    }
}

pub(crate) fn keepalives(w: &What) -> Option<v1::KeepAliveRequest> {
    match w {
        What::KeepAlive(r) => Some(r.clone()),
        _ => None,
    }
}

fn lost() -> tonic::Status {
    status_of(Code::Unavailable, "STORE_FAILED", &[], None)
}

#[tokio::test(start_paused = true)]
async fn register_and_keep_alive() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client
        .register([spec("pay-1"), spec("pay-2")])
        .await
        .expect("registered");
    let status = reg.status();
    assert_eq!(status.state, State::Active);
    assert_eq!((status.lease.as_str(), status.incarnation), ("0011", 11));
    sleep(Duration::from_secs(600)).await; // 40 TTLs
    assert_eq!(reg.status().state, State::Active);
    let sent = fake.calls(keepalives);
    assert!(
        (120..=151).contains(&sent.len()),
        "{} keepalives in 600 s; a third of the TTL less up to a fifth makes 120 to 150",
        sent.len()
    );
    for (i, k) in sent.iter().enumerate() {
        assert_eq!(k.sequence, i as u64 + 1);
        assert_eq!(k.lease_ids.len(), 1, "one lease holds both");
    }
    assert_eq!(client.stats().keepalive_streams, 1);
    let metadata = fake.lock().metadata.clone();
    for want in [
        ("muster-protocol", "1"),
        ("muster-client", "rust/0.1.0"),
        ("muster-client-name", "test-client"),
        ("muster-features", "ack"),
    ] {
        assert!(
            metadata
                .iter()
                .any(|(k, v)| (k.as_str(), v.as_str()) == want),
            "{want:?} in {metadata:?}"
        );
    }
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn ids_are_drawn_when_none_is_given() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("")]).await.expect("registered");
    let id = &reg.keys()[0].instance_id;
    assert!(id.starts_with("pay-") && id.len() == 12, "{id}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn specs_are_checked_before_anything_is_sent() {
    let fake = Fake::new(1);
    let client = fake.client();
    let bad = InstanceSpec::new("shop", "pay").endpoint(EndpointSpec::new("grpc", ":8080"));
    let e = client.register([bad]).await.expect_err("refused");
    assert_eq!(e.reason(), Reason::InvalidEndpoint);
    assert!(fake.lock().calls.is_empty());
    assert_eq!(client.status().registrations, 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn errors_that_are_not_retryable_return_at_once() {
    let fake = Fake::new(1);
    fake.fail("register", Code::InvalidArgument, "INVALID_ARGUMENT");
    let client = fake.client();
    let e = client.register([spec("pay-1")]).await.expect_err("refused");
    assert_eq!(e.reason(), Reason::InvalidArgument);
    assert_eq!(fake.calls(registers).len(), 1);
    assert_eq!(e.server(), Some("s0:7070"));
    tokio::task::yield_now().await;
    assert_eq!(client.status().registrations, 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn retryable_errors_are_retried_with_one_request_id() {
    let fake = Fake::new(1);
    for _ in 0..3 {
        fake.script("register", Scripted::Fail(lost()));
    }
    let client = fake.client();
    client.register([spec("pay-1")]).await.expect("registered");
    let sent = fake.calls(registers);
    assert_eq!(sent.len(), 4);
    for r in &sent {
        assert_eq!(r.request_id, sent[0].request_id);
        assert_eq!(r.request_id.len(), 32);
    }
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn retry_info_is_honoured() {
    let fake = Fake::new(1);
    let wait = Duration::from_secs(3);
    let busy = status_of(Code::ResourceExhausted, "OVERLOADED", &[], Some(wait));
    fake.script("register", Scripted::Fail(busy));
    let client = fake.client();
    let began = Instant::now();
    client.register([spec("pay-1")]).await.expect("registered");
    assert!(began.elapsed() >= wait, "{:?}", began.elapsed());
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn context_bounds_the_call_not_the_registration() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client
        .register([spec("pay-1")])
        .timeout(Duration::from_secs(1))
        .await
        .expect("registered");
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!(reg.status().state, State::Active);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_changes_nothing() {
    let fake = Fake::new(1);
    let client = fake.client();
    let _ = client.register([spec("pay-1")]).await.expect("registered");
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fake.lock().leases.len(), 1);
    assert_eq!(client.status().registrations, 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn context_that_ends_first_withdraws_what_was_granted() {
    let fake = Fake::new(1);
    fake.script("register", Scripted::Delay(Duration::from_secs(2)));
    let client = fake.client();
    let e = client
        .register([spec("pay-1")])
        .timeout(Duration::from_secs(1))
        .await
        .expect_err("too late");
    assert_eq!(e.reason(), Reason::Deadline);
    assert!(e.to_string().contains("nothing stays registered"), "{e}");
    fake.next_call(deregisters).await;
    fake.until(|s| s.leases.is_empty().then_some(())).await;
    assert!(fake.calls(keepalives).is_empty());
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn future_that_is_dropped_withdraws_what_was_granted() {
    let fake = Fake::new(1);
    fake.script("register", Scripted::Delay(Duration::from_secs(2)));
    let client = fake.client();
    let call = client.register([spec("pay-1")]);
    timeout(Duration::from_secs(1), call)
        .await
        .expect_err("dropped");
    fake.next_call(deregisters).await;
    fake.until(|s| s.leases.is_empty().then_some(())).await;
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn grant_whose_answer_was_lost_is_found_and_withdrawn() {
    let fake = Fake::new(1);
    fake.script("register", Scripted::DoThenFail(lost()));
    for _ in 0..4 {
        fake.script("register", Scripted::Fail(lost()));
    }
    let client = fake.client();
    let e = client
        .register([spec("pay-1")])
        .timeout(Duration::from_millis(100))
        .await
        .expect_err("too late");
    assert_eq!(e.reason(), Reason::Deadline);
    assert_eq!(fake.lock().leases.len(), 1);
    fake.until(|s| s.leases.is_empty().then_some(())).await;
    let sent = fake.calls(registers);
    assert!(sent.iter().all(|r| r.request_id == sent[0].request_id));
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn instance_exists_is_taken_over_by_the_same_request() {
    let fake = Fake::new(1);
    let (old, new) = (fake.client(), fake.client());
    let first = old.register([spec("pay-1")]).await.expect("registered");
    let held = fake.only_lease().lease;
    new.register([spec("pay-1")]).await.expect("taken over");
    let sent = fake.calls(registers);
    assert_eq!(sent[1].request_id, sent[2].request_id);
    let Some(Claim::TakeOver(claim)) = &sent[2].claim else {
        panic!("{:?}", sent[2].claim)
    };
    assert_eq!(claim.incarnations, [held.incarnation]);
    // The older one learns of it by its next keepalive, and gives up.
    let mut first = first;
    until_status(&mut first, |s| s.state.is_final()).await;
    assert_eq!(first.status().state, State::Fenced);
    old.close().await;
    new.close().await;
}

#[tokio::test(start_paused = true)]
async fn take_over_is_bounded() {
    let fake = Fake::new(1);
    for i in 0..20 {
        let incarnation = i.to_string();
        let metadata = [("incarnations", incarnation.as_str())];
        let exists = status_of(Code::AlreadyExists, "INSTANCE_EXISTS", &metadata, None);
        fake.script("register", Scripted::Fail(exists));
    }
    let client = fake.client();
    let e = client.register([spec("pay-1")]).await.expect_err("a race");
    assert_eq!(e.reason(), Reason::InstanceExists);
    assert_eq!(fake.calls(registers).len(), 6);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn fenced_is_final_and_told() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    fake.lock().fenced.push(id);
    assert_eq!(next_status(&mut reg).await.state, State::Fenced);
    let e = reg.status().error.expect("an error");
    assert_eq!(
        e.to_string(),
        "muster: fenced by a newer lease; giving up [FENCED]"
    );
    // Final: nothing more is sent, and the status is told again at once.
    let sent = fake.lock().calls.len();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fake.lock().calls.len(), sent);
    assert_eq!(next_status(&mut reg).await.state, State::Fenced);
    let e = reg.flush().await.map(|()| "nothing was to be flushed");
    assert!(e.is_ok());
    reg.set_weight(1);
    let e = reg.flush().await.expect_err("final");
    assert_eq!(e.reason(), Reason::Fenced);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn fenced_by_an_update_names_the_holder() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    fake.lock().fenced.push(id);
    reg.set_weight(5);
    assert_eq!(next_status(&mut reg).await.state, State::Fenced);
    assert_eq!(reg.status().reason, "fenced by incarnation 99; giving up");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lost_lease_is_replaced_naming_the_previous() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    reg.set_weight(7);
    reg.flush().await.expect("flushed");
    let before = fake.only_lease().lease;
    fake.expire(&before.lease_id);
    fake.fail("register", Code::Unavailable, "ISOLATED");
    assert_eq!(next_status(&mut reg).await.state, State::Registering);
    let again = fake.until(|s| s.leases.values().next().cloned()).await;
    let sent = fake.calls(registers);
    assert_eq!(sent.len(), 3);
    let Some(Claim::Previous(claim)) = &sent[1].claim else {
        panic!("{:?}", sent[1].claim)
    };
    assert_eq!(claim.lease_id, before.lease_id);
    assert_eq!(
        (claim.epoch, claim.incarnation),
        (before.epoch, before.incarnation)
    );
    assert_ne!(
        sent[0].request_id, sent[1].request_id,
        "a new attempt has its own id"
    );
    assert_eq!(
        sent[1].request_id, sent[2].request_id,
        "its retries have the same"
    );
    assert_eq!(again.instances[0].weight, Some(7), "as it should be now");
    until_status(&mut reg, |s| s.state == State::Active).await;
    assert_eq!(reg.status().incarnation, again.lease.incarnation);
    assert_eq!(client.stats().reregistrations, 1);
    // The new lease is kept alive.
    sleep(Duration::from_secs(60)).await;
    let last = fake.calls(keepalives).pop().expect("keepalives");
    assert_eq!(last.lease_ids, [again.lease.lease_id]);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn refused_reregistration_is_final() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    fake.expire(&id);
    fake.fail("register", Code::PermissionDenied, "FORBIDDEN");
    until_status(&mut reg, |s| s.state.is_final()).await;
    assert_eq!(reg.status().state, State::Refused);
    let e = reg.status().error.expect("an error");
    assert_eq!(e.reason(), Reason::Forbidden);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(fake.calls(registers).len(), 2);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn fenced_reregistration_is_final() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    fake.expire(&id);
    let other = fake.client();
    other.register([spec("pay-1")]).await.expect("registered");
    until_status(&mut reg, |s| s.state.is_final()).await;
    assert_eq!(reg.status().state, State::Fenced);
    assert!(reg.status().reason.starts_with("fenced by incarnation"));
    assert_eq!(fake.lock().leases.len(), 1, "the newcomer keeps it");
    client.close().await;
    other.close().await;
}

#[tokio::test(start_paused = true)]
async fn never_two_registrations_in_flight() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    fake.script("register", Scripted::Delay(Duration::from_secs(4)));
    fake.expire(&id);
    // Both the keepalive and an update find out that the lease is gone.
    reg.set_weight(3);
    fake.until(|s| s.leases.values().next().map(|_| ())).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.calls(registers).len(), 2);
    assert_eq!(reg.status().state, State::Active);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn paused_process_registers_again_and_says_so() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    sleep(Duration::from_secs(2)).await;
    // The process does not run for 41 s beyond the TTL; its timers all come late.
    fake.expire(&id);
    advance(Duration::from_secs(13 + 41)).await;
    until_status(&mut reg, |s| s.incarnation != 11).await;
    assert_eq!(
        reg.status().reason,
        "lease 0011 expired 41s ago while this process was not running; re-registered as 0012 [LEASE_EXPIRED]"
    );
    assert_eq!(reg.status().state, State::Active);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn states_have_names() {
    for (state, name, is_final) in [
        (State::Registering, "REGISTERING", false),
        (State::Active, "ACTIVE", false),
        (State::Unconfirmed, "UNCONFIRMED", false),
        (State::Fenced, "FENCED", true),
        (State::Refused, "REFUSED", true),
        (State::Deregistered, "DEREGISTERED", true),
        (State::Closed, "CLOSED", true),
    ] {
        assert_eq!(
            (state.to_string().as_str(), state.is_final()),
            (name, is_final)
        );
    }
}
