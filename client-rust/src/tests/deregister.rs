//! Rules of ending registrations.

use muster_proto::v1;
use tokio::time::Instant;

use super::fake::{Fake, What};
use super::registration::{registers, spec, until_status};
use crate::{Reason, RegistrationState as State};

pub(crate) fn deregisters(w: &What) -> Option<v1::DeregisterRequest> {
    match w {
        What::Deregister(r) => Some(r.clone()),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn deregister_is_told_and_idempotent() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    let twin = reg.clone();
    reg.deregister().await.expect("deregistered");
    twin.deregister().await.expect("again");
    assert_eq!(fake.calls(deregisters).len(), 1);
    assert!(fake.lock().leases.is_empty());
    assert_eq!(twin.status().state, State::Deregistered);
    assert!(twin.status().error.is_none());
    tokio::task::yield_now().await;
    assert_eq!(client.status().registrations, 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn deregister_takes_an_unknown_lease_as_done() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    fake.expire(&id);
    reg.deregister().await.expect("done");
    assert_eq!(fake.calls(registers).len(), 1);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn deregister_goes_on_until_the_lease_would_have_expired() {
    let fake = Fake::new(1);
    let client = fake.client();
    let mut reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.place(0).stop();
    let began = Instant::now();
    let e = reg.deregister().await.expect_err("no server");
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(e.is_retryable(), "{e}");
    until_status(&mut reg, |s| s.state.is_final()).await;
    assert!(
        (14..25).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
    let e = reg.status().error.expect("it expires by its TTL");
    assert_eq!(e.reason(), Reason::NoServer);
    client.close().await;
}
