//! What of a view is dialled, and with which weight.

use super::*;
use muster_proto::v1;

/// An instance with one gRPC endpoint.
fn instance(id: &str, edit: impl FnOnce(&mut v1::Instance)) -> Arc<Instance> {
    let mut wire = v1::Instance {
        namespace: "shop".into(),
        service: "pay".into(),
        instance_id: id.into(),
        endpoints: vec![endpoint("grpc", id)],
        weight: Some(7),
        incarnation: 42,
        ..Default::default()
    };
    edit(&mut wire);
    Arc::new(Instance::from_wire(wire))
}

fn endpoint(name: &str, host: &str) -> v1::Endpoint {
    v1::Endpoint {
        name: name.into(),
        address: format!("{host}:1"),
        ..Default::default()
    }
}

fn unhealthy(wire: &mut v1::Instance) {
    wire.health = v1::Health::Unhealthy.into();
}

fn weights(instances: &[Arc<Instance>]) -> Vec<u32> {
    endpoints(instances, None)
        .iter()
        .map(|e| e.weight)
        .collect()
}

#[test]
fn targets() {
    for target in ["shop/pay", "muster:///shop/pay"] {
        assert_eq!(service(target).unwrap(), ServiceName::new("shop", "pay"));
    }
    for target in [
        "",
        "pay",
        "/pay",
        "shop/",
        "shop/pay/x",
        "muster://shop/pay",
        "dns:///shop/pay",
    ] {
        let error = service(target).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidArgument, "{target:?}");
        assert!(
            error.to_string().contains(&format!("{target:?}")),
            "{error}"
        );
    }
}

#[test]
fn only_those_that_serve_get_requests() {
    let all = [
        instance("a", |_| {}),
        instance("b", |i| i.lifecycle = v1::Lifecycle::Draining.into()),
        instance("c", |i| i.lifecycle = v1::Lifecycle::Starting.into()),
        instance("d", |i| i.weight = Some(0)),
        instance("e", |i| i.health = v1::Health::Degraded.into()),
        instance("f", |i| i.weight = None),
    ];
    assert_eq!(weights(&all), [7, 0, 0, 0, 7, 100]);
}

#[test]
fn the_unhealthy_are_left_out_while_enough_are_healthy() {
    let of = |bad: usize, good: usize| {
        let bad = (0..bad).map(|n| instance(&format!("a{n}"), unhealthy));
        let good = (0..good).map(|n| instance(&format!("b{n}"), |_| {}));
        bad.chain(good).collect::<Vec<_>>()
    };
    assert_eq!(weights(&of(1, 1)), [0, 7]);
    assert_eq!(
        weights(&of(2, 1)),
        [7, 7, 7],
        "too few are healthy: health is ignored"
    );
    assert_eq!(weights(&of(2, 0)), [7, 7]);
    // Who takes no requests anyway neither causes nor prevents that.
    let mut all = of(1, 1);
    all.extend((0..9).map(|n| {
        instance(&format!("c{n}"), |i| {
            i.lifecycle = v1::Lifecycle::Draining.into();
            unhealthy(i);
        })
    }));
    assert_eq!(weights(&all)[..2], [0, 7]);
    assert!(weights(&all)[2..].iter().all(|&weight| weight == 0));
}

#[test]
fn the_endpoint_is_chosen_by_name_or_by_custom() {
    let many = instance("a", |i| {
        i.endpoints = vec![
            endpoint("b", "b"),
            endpoint("grpc", "g"),
            endpoint("a", "a"),
        ];
        i.endpoints[2].protocol = v1::Protocol::Http.into();
    });
    let other = instance("a", |i| {
        i.endpoints = vec![endpoint("z", "z"), endpoint("y", "y")]
    });
    let none = instance("a", |i| i.endpoints.clear());
    let address = |instance: &Instance, name| chosen(instance, name).map(|e| e.address.clone());
    assert_eq!(address(&many, None).as_deref(), Some("g:1"));
    assert_eq!(address(&many, Some("b")).as_deref(), Some("b:1"));
    assert_eq!(address(&many, Some("a")), None, "it speaks something else");
    assert_eq!(address(&other, None).as_deref(), Some("y:1"));
    assert_eq!(address(&none, None), None);
}

#[test]
fn an_endpoint_keeps_its_names_and_its_process() {
    let plain = instance("a", |_| {});
    let secured = instance("b", |i| {
        i.endpoints[0].security = v1::TransportSecurity::MutualTls.into();
        i.endpoints[0].server_name = "pay.example".into();
        i.endpoints[0].authority = "pay.internal".into();
    });
    let got = endpoints(&[plain, secured], None);
    let mut want = Endpoint::plaintext("a:1", 7);
    want.create_revision = 42;
    assert_eq!(got[0], want);
    assert_eq!(got[1].key.protocol, Protocol::H2Tls);
    assert_eq!(got[1].key.server_name.as_deref(), Some("pay.example"));
    assert_eq!(got[1].authority.as_deref(), Some("pay.internal"));
}
