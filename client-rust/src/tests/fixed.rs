//! Rules of instances that are given to a client.

use std::time::Duration;

use muster_proto::v1::SnapshotCause as Cause;
use muster_proto::v1::selector::Names;
use tokio::time::sleep;

use super::fake::Fake;
use super::watch::{ids, pay, until_view};
use crate::testset::{Model, VIEW};
use crate::{
    Client, EndpointSpec, Error, Freshness, InstanceSpec, Reason, Selector, ServiceName, Source,
};

fn spec_at(service: &str, address: &str) -> InstanceSpec {
    InstanceSpec::new("shop", service).endpoint(EndpointSpec::new("grpc", address))
}

fn expect_error<T: std::fmt::Debug>(result: Result<T, Error>, want: &str) {
    assert_eq!(result.expect_err(want).to_string(), want);
}

#[tokio::test(start_paused = true)]
async fn static_client_needs_no_registry() {
    let client = Client::fixed([
        spec_at("pay", "localhost:9001"),
        spec_at("pay", "localhost:9000"),
        spec_at("cart", "localhost:80"),
    ]);
    let client = client.build().expect("a client");
    client.ready().await.expect("nothing to wait for");
    assert_eq!(client.status().server, "");
    let sub = client.subscribe(pay()).expect("subscribed");
    sleep(Duration::from_secs(86_400)).await;
    let view = sub.wait(2).await.expect("at once");
    assert_eq!(ids(&view), ["static-1", "static-2"]);
    assert_eq!(
        (view.source(), view.freshness(), view.age()),
        (Source::Static, Freshness::Fresh, Duration::ZERO)
    );
    let first = view.instances()[0].endpoint("grpc").expect("one");
    assert_eq!(first.address, "localhost:9001");
    let all = client.lookup(Selector::prefix("", "")).await.expect("all");
    assert_eq!((all.instances().len(), all.services().len()), (3, 2));
    expect_error(
        sub.wait(3).await,
        "muster: shop/pay has 2 of 3 wanted instances; they were given to this client and do not change [NO_INSTANCES]",
    );
    let other = Selector::service("shop", "other");
    expect_error(
        client.subscribe(other).expect("subscribed").wait(1).await,
        "muster: service \"shop/other\" is not among those that this client was given [SERVICE_UNKNOWN]",
    );
    let mut own = spec_at("pay", "10.0.0.1:80");
    own.instance_id = "pay-1".into();
    expect_error(
        client.register([own]).await,
        "muster: register shop/pay/pay-1: this client was given its instances and has no registry; make one by \
         Client::builder [FEATURE_NOT_SERVED]",
    );
    client.close().await;
    assert_eq!(sub.error().expect("over").reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn override_replaces_one_service() {
    let fake = Fake::new(1);
    let builder = fake.builder().overrides([spec_at("pay", "localhost:9000")]);
    let client = builder.build().expect("a client");
    let sub = client.subscribe(pay()).expect("subscribed");
    assert_eq!(sub.view().source(), Source::Static);
    client.lookup(pay()).await.expect("known");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.lock().calls.len(), 0, "the registry was asked");

    let names = ["pay", "cart"].map(|s| ServiceName::new("shop", s));
    let both = client.subscribe(Selector::services(names)).expect("both");
    let stream = fake.next_watch().await;
    assert_eq!(stream.request.subscriptions.len(), 1);
    let asked = stream.request.subscriptions[0].selector.clone();
    match asked.and_then(|s| s.names) {
        Some(Names::Services(names)) => assert_eq!(names.names[0].service, "cart"),
        other => panic!("asked for {other:?}"),
    }
    stream.open(VIEW).await;
    let mut m = Model::new(1, 10);
    // What a server has of the service anyway is replaced.
    m.put("pay-1");
    m.state(None);
    stream.snapshot(m.snapshot(Cause::First)).await;
    let view = until_view(&both, |v| v.source() == Source::Registry).await;
    assert_eq!(ids(&view), ["static-1"]);
    assert_eq!(view.services().len(), 1);
    client.close().await;
}

#[tokio::test]
async fn overrides_are_checked() {
    let mut one = spec_at("pay", "localhost:1");
    one.instance_id = "a".into();
    expect_error(
        Client::fixed([spec_at("pay", "0.0.0.0:1")]).build(),
        "muster: endpoint \"grpc\" of shop/pay: address 0.0.0.0:1 cannot be dialled by others; pass a reachable \
         address or use advertise_from(listener) [INVALID_ENDPOINT]",
    );
    expect_error(
        Client::fixed([one.clone(), one]).build(),
        "muster: shop/pay: instance_id \"a\" is not allowed: each once [INVALID_ARGUMENT]",
    );
}
