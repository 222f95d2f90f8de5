//! Rules of setters and of `flush`.

use std::time::Duration;

use muster_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::fake::{Fake, Scripted};
use super::registration::{spec, updates};
use crate::{Health, Lifecycle, Reason, RegistrationState as State};

#[tokio::test(start_paused = true)]
async fn setters_coalesce_into_one_update_at_a_time() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.script("update", Scripted::Delay(Duration::from_secs(2)));
    reg.set_weight(1);
    fake.next_call(updates).await;
    for n in 2..50 {
        reg.set_weight(n);
    }
    reg.set_health(Health::Degraded, "slow disk");
    reg.set_metadata([("k".to_owned(), "v".to_owned())].into());
    reg.flush().await.expect("flushed");
    let sent = fake.calls(updates);
    assert_eq!(
        sent.len(),
        2,
        "one in flight, one for all that came meanwhile"
    );
    let mask = |r: &v1::UpdateRequest| r.update_mask.clone().expect("a mask").paths;
    assert_eq!(mask(&sent[0]), ["weight"]);
    assert_eq!(mask(&sent[1]), ["weight", "metadata", "self_health"]);
    let instance = sent[1].instance.clone().expect("an instance");
    assert_eq!(instance.weight, Some(49));
    assert_eq!(instance.self_health.expect("health").reason, "slow disk");
    // Setting what is there already sends nothing.
    reg.set_weight(49);
    reg.flush().await.expect("flushed");
    assert_eq!(fake.calls(updates).len(), 2);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn each_instance_of_a_registration_is_updated() {
    let fake = Fake::new(1);
    let client = fake.client();
    let specs = [spec("pay-1").lifecycle(Lifecycle::Starting), spec("pay-2")];
    let reg = client.register(specs).await.expect("registered");
    reg.set_lifecycle(Lifecycle::Draining); // ignored
    reg.set_lifecycle(Lifecycle::Serving);
    reg.flush().await.expect("flushed");
    let sent = fake.calls(updates);
    assert_eq!(sent.len(), 1, "only the first one changes");
    assert_eq!(
        sent[0].instance.clone().expect("an instance").instance_id,
        "pay-1"
    );
    reg.set_weight(0);
    reg.flush().await.expect("flushed");
    assert_eq!(fake.calls(updates).len(), 3);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn flush_tells_what_was_refused() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.fail("update", Code::InvalidArgument, "INVALID_ARGUMENT");
    reg.set_weight(2_000_000);
    let e = reg.flush().await.expect_err("refused");
    assert_eq!(e.reason(), Reason::InvalidArgument);
    assert_eq!(reg.status().state, State::Active);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.calls(updates).len(), 1, "it is not tried again");
    reg.set_weight(2);
    reg.flush().await.expect("flushed");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn flush_is_bounded() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    fake.place(0).stop();
    reg.set_weight(2);
    let began = Instant::now();
    let e = reg.flush().await.expect_err("no server");
    assert!(e.is_retryable(), "{e}");
    assert_eq!(began.elapsed().as_secs(), 5);
    fake.place(0).start();
    reg.flush().await.expect("flushed once it is back");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn update_of_a_lost_lease_registers_again() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    fake.expire(&id);
    reg.set_weight(3);
    reg.flush().await.expect("flushed");
    let lease = fake.only_lease();
    assert_eq!(lease.instances[0].weight, Some(3));
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn lost_lease_does_not_wait_for_an_update_without_answer() {
    let fake = Fake::new(1);
    let client = fake.client();
    let reg = client.register([spec("pay-1")]).await.expect("registered");
    let id = fake.only_lease().lease.lease_id;
    sleep(Duration::from_secs(4)).await;
    fake.script("update", Scripted::Hang);
    reg.set_weight(3);
    fake.next_call(updates).await;
    fake.expire(&id);
    let began = Instant::now();
    fake.until(|s| s.leases.values().next().map(|_| ())).await;
    assert!(
        began.elapsed() <= Duration::from_secs(1),
        "the next keepalive tells: {:?}",
        began.elapsed()
    );
    reg.flush().await.expect("registered as it should be");
    client.close().await;
}
