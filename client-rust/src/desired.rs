//! What should be registered, and which fields must be sent to get there. Pure.

use muster_proto::v1;

use crate::spec::InstanceSpec;

/// Names the fields in which `want` differs from `have`, as update masks name them. Empty: nothing
/// is to be sent.
pub(crate) fn changed_fields(have: &InstanceSpec, want: &InstanceSpec) -> Vec<&'static str> {
    let differs = [
        ("weight", have.weight != want.weight),
        ("lifecycle", have.lifecycle != want.lifecycle),
        ("metadata", have.metadata != want.metadata),
        (
            "self_health",
            have.health != want.health || have.health_reason != want.health_reason,
        ),
    ];
    differs
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
}

/// The instance with its key and the named fields of `want` alone.
pub(crate) fn patch(want: &InstanceSpec, fields: &[&str]) -> v1::Instance {
    let whole = want.to_wire();
    let mut patch = v1::Instance {
        namespace: whole.namespace,
        service: whole.service,
        instance_id: whole.instance_id,
        ..Default::default()
    };
    for field in fields {
        match *field {
            "weight" => patch.weight = whole.weight,
            "lifecycle" => patch.lifecycle = whole.lifecycle,
            "metadata" => patch.metadata.clone_from(&whole.metadata),
            "self_health" => patch.self_health.clone_from(&whole.self_health),
            _ => {}
        }
    }
    patch
}

/// Takes the named fields over, once they were acknowledged.
pub(crate) fn take_over(have: &mut InstanceSpec, want: &InstanceSpec, fields: &[&str]) {
    for field in fields {
        match *field {
            "weight" => have.weight = want.weight,
            "lifecycle" => have.lifecycle = want.lifecycle,
            "metadata" => have.metadata.clone_from(&want.metadata),
            "self_health" => {
                have.health = want.health;
                have.health_reason.clone_from(&want.health_reason);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Health, Lifecycle};
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Change {
        Weight(u32),
        Starting(bool),
        Metadata(u8),
        Health(bool, u8),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (0u32..3).prop_map(Change::Weight),
            any::<bool>().prop_map(Change::Starting),
            (0u8..3).prop_map(Change::Metadata),
            (any::<bool>(), 0u8..2).prop_map(|(a, b)| Change::Health(a, b)),
        ]
    }

    fn apply(spec: &mut InstanceSpec, change: &Change) {
        match change {
            Change::Weight(n) => spec.weight = *n,
            Change::Starting(b) => {
                spec.lifecycle = if *b {
                    Lifecycle::Starting
                } else {
                    Lifecycle::Serving
                }
            }
            Change::Metadata(n) => {
                spec.metadata = [("k".to_owned(), n.to_string())].into();
            }
            Change::Health(bad, why) => {
                spec.health = if *bad {
                    Health::Unhealthy
                } else {
                    Health::Healthy
                };
                spec.health_reason = why.to_string();
            }
        }
    }

    #[test]
    fn equal_specs_need_nothing() {
        let spec = InstanceSpec::new("shop", "pay").id("pay-7");
        assert!(changed_fields(&spec, &spec).is_empty());
    }

    #[test]
    fn mask_names_each_setter() {
        let have = InstanceSpec::new("shop", "pay").id("pay-7");
        let want = have
            .clone()
            .weight(0)
            .lifecycle(Lifecycle::Starting)
            .metadata("a", "b")
            .health(Health::Degraded, "slow");
        let fields = changed_fields(&have, &want);
        assert_eq!(fields, ["weight", "lifecycle", "metadata", "self_health"]);
        let sent = patch(&want, &fields);
        assert_eq!(sent.weight, Some(0));
        assert_eq!(sent.instance_id, "pay-7");
        assert!(sent.endpoints.is_empty());
        assert_eq!(patch(&want, &["weight"]).self_health, None);
    }

    proptest! {
        #[test]
        fn patches_lead_to_what_is_wanted(changes in prop::collection::vec(change(), 0..10)) {
            let have = InstanceSpec::new("shop", "pay").id("pay-7");
            let mut want = have.clone();
            changes.iter().for_each(|c| apply(&mut want, c));
            let mut after = have.clone();
            take_over(&mut after, &want, &changed_fields(&have, &want));
            prop_assert_eq!(&after, &want);
            prop_assert!(changed_fields(&after, &want).is_empty());
        }
    }
}
