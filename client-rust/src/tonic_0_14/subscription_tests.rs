//! What of a view is dialled.

use super::*;
use crate::kinds::{Health, Lifecycle};
use muster_proto::v1;

/// An instance with one gRPC endpoint.
fn instance(id: &str, edit: impl FnOnce(&mut v1::Instance)) -> Instance {
    let mut wire = v1::Instance {
        namespace: "shop".into(),
        service: "pay".into(),
        instance_id: id.into(),
        endpoints: vec![wire_endpoint("grpc", id)],
        weight: Some(7),
        incarnation: 42,
        ..Default::default()
    };
    edit(&mut wire);
    Instance::from_wire(wire)
}

fn wire_endpoint(name: &str, host: &str) -> v1::Endpoint {
    v1::Endpoint {
        name: name.into(),
        address: format!("{host}:1"),
        ..Default::default()
    }
}

#[test]
fn targets() {
    let service = ServiceName::new("shop", "pay");
    assert_eq!(
        parsed("muster:///shop/pay").unwrap(),
        (service.clone(), None)
    );
    assert_eq!(
        parsed("muster:///shop/pay?endpoint=admin").unwrap(),
        (service, Some("admin".to_owned()))
    );
    for target in [
        "",
        "pay",
        "shop/pay",
        "muster:///shop/",
        "muster:///shop/pay/x",
        "muster://shop/pay",
        "dns:///shop/pay",
    ] {
        let error = parsed(target).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidArgument, "{target:?}");
        let text = error.to_string();
        assert!(
            text.contains(&format!("target {target:?}: byte ")),
            "{text}"
        );
    }
}

#[test]
fn what_a_plan_needs_of_an_instance() {
    let got = endpoint(
        &instance("a", |i| {
            i.lifecycle = v1::Lifecycle::Draining.into();
            i.health = v1::Health::Degraded.into();
            i.version = "1.2.3".into();
            i.create_revision = 99;
            i.locality = Some(v1::Locality {
                region: "eu".into(),
                zone: "eu-1".into(),
            });
        }),
        None,
    );
    let mut want = Endpoint::plaintext("a:1", 7);
    want.instance = "a".into();
    want.lifecycle = Lifecycle::Draining;
    want.health = Health::Degraded;
    want.version = "1.2.3".into();
    want.region = "eu".into();
    want.zone = "eu-1".into();
    want.generation = 99;
    assert_eq!(got, want);
    assert_eq!(endpoint(&instance("a", |_| {}), None).generation, 42);
    assert_eq!(
        endpoint(&instance("a", |i| i.weight = None), None).weight,
        100
    );
}

#[test]
fn the_endpoint_is_chosen_by_name_or_by_custom() {
    let many = instance("a", |i| {
        i.endpoints = vec![
            wire_endpoint("b", "b"),
            wire_endpoint("grpc", "g"),
            wire_endpoint("a", "a"),
        ];
        i.endpoints[2].protocol = v1::Protocol::Http.into();
    });
    let other = instance("a", |i| {
        i.endpoints = vec![wire_endpoint("z", "z"), wire_endpoint("y", "y")]
    });
    let none = instance("a", |i| i.endpoints.clear());
    let address = |instance: &Instance, name| endpoint(instance, name).key.address.to_string();
    assert_eq!(address(&many, None), "g:1");
    assert_eq!(address(&many, Some("b")), "b:1");
    assert_eq!(address(&many, Some("a")), "", "it speaks something else");
    assert_eq!(address(&other, None), "y:1");
    assert_eq!(address(&none, None), "");
}

#[test]
fn an_endpoint_keeps_its_names() {
    let plain = endpoint(&instance("a", |_| {}), None);
    assert_eq!(plain.key, EndpointKey::plaintext("a:1"));
    let secured = endpoint(
        &instance("b", |i| {
            i.endpoints[0].security = v1::TransportSecurity::MutualTls.into();
            i.endpoints[0].server_name = "pay.example".into();
            i.endpoints[0].authority = "pay.internal".into();
        }),
        None,
    );
    assert_eq!(secured.key.protocol, Protocol::H2MutualTls);
    assert_eq!(secured.key.server_name.as_deref(), Some("pay.example"));
    assert_eq!(secured.key.authority.as_deref(), Some("pay.internal"));
    let slot = secured.key.slot("pay.shop");
    assert_eq!(
        (
            slot.protocol,
            slot.security,
            slot.server_name,
            slot.authority
        ),
        ("GRPC", "MUTUAL_TLS", "pay.example", "pay.internal")
    );
    let slot = plain.key.slot("pay.shop");
    assert_eq!(
        (slot.security, slot.server_name, slot.authority),
        ("PLAINTEXT", "pay.shop", "pay.shop")
    );
}
