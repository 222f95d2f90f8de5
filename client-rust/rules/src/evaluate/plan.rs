use serde::{Deserialize, Serialize};

use super::slot_key::Key;
use super::{Text, rule};
use crate::plan::{Candidate, Me, Plan, Policy, plan as plan_rule};
use crate::version_shares::VersionShare;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Input {
    candidates: Vec<Instance>,
    policy: Rules,
    #[serde(rename = "self")]
    me: Client,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Instance {
    key: Key,
    weight: u32,
    lifecycle: String,
    health: String,
    version: String,
    region: String,
    zone: String,
    generation: Text<u64>,
    ejected: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rules {
    version_shares: Vec<Share>,
    locality_rule: String,
    subset_size: u32,
    panic_threshold: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Share {
    range: String,
    share: u32,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Client {
    region: String,
    zone: String,
    client_id: Text<u64>,
}

#[derive(Serialize)]
struct Output {
    slots: Vec<Slot>,
    why: Vec<&'static str>,
    panicking: bool,
    healthy: usize,
    total: usize,
}

#[derive(Serialize)]
struct Slot {
    key: Key,
    weight: Text<u64>,
    connect: bool,
    generation: Text<u64>,
}

pub(super) fn plan(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let candidates: Vec<_> = input.candidates.iter().map(candidate).collect();
        let policy = Policy {
            version_shares: input.policy.version_shares.iter().map(share).collect(),
            locality_rule: &input.policy.locality_rule,
            subset_size: input.policy.subset_size,
            panic_threshold: input.policy.panic_threshold,
        };
        let me = Me {
            region: &input.me.region,
            zone: &input.me.zone,
            client_id: input.me.client_id.0,
        };
        output(&plan_rule(&candidates, &policy, &me))
    })
}

fn candidate(instance: &Instance) -> Candidate<'_> {
    Candidate {
        key: instance.key.borrowed(),
        weight: instance.weight,
        lifecycle: &instance.lifecycle,
        health: &instance.health,
        version: &instance.version,
        region: &instance.region,
        zone: &instance.zone,
        generation: instance.generation.0,
        ejected: instance.ejected,
    }
}

fn share(share: &Share) -> VersionShare<'_> {
    VersionShare {
        range: &share.range,
        share: share.share,
    }
}

fn output(plan: &Plan<'_>) -> Output {
    let slots = plan.slots.iter().map(|slot| Slot {
        key: Key::from(slot.key),
        weight: Text(slot.weight),
        connect: slot.connect,
        generation: Text(slot.generation),
    });
    Output {
        slots: slots.collect(),
        why: plan.why.iter().map(|why| why.as_str()).collect(),
        panicking: plan.panicking,
        healthy: plan.healthy,
        total: plan.total,
    }
}
