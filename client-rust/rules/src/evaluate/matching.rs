use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Hex, rule};
use crate::matching::{Candidate, Filter, MetadataCondition, Names, ShardServed, ShardWanted};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    names: NamesInput,
    #[serde(default)]
    filter: FilterInput,
    #[serde(default)]
    instance: InstanceInput,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NamesInput {
    services: Vec<String>,
    namespace: String,
    prefix: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FilterInput {
    version_range: String,
    metadata: Vec<Condition>,
    capabilities: Vec<String>,
    shard: Option<Wanted>,
    healths: Vec<String>,
    lifecycles: Vec<String>,
    regions: Vec<String>,
    zones: Vec<String>,
    instance_ids: Vec<String>,
    endpoint_names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Condition {
    key: String,
    values: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    by_id: bool,
    id: u32,
    key: Hex,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InstanceInput {
    namespace: String,
    service: String,
    instance_id: String,
    version: String,
    region: String,
    zone: String,
    health: String,
    lifecycle: String,
    metadata: BTreeMap<String, String>,
    capabilities: Vec<String>,
    shard: Option<Served>,
    endpoint_names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Served {
    by_id: bool,
    ids: Vec<u32>,
    start: Hex,
    end: Hex,
}

#[derive(Serialize)]
struct Output {
    selected: bool,
    passes: bool,
}

impl From<FilterInput> for Filter {
    fn from(f: FilterInput) -> Filter {
        let condition = |m: Condition| MetadataCondition {
            key: m.key,
            values: m.values,
        };
        Filter {
            version_range: f.version_range,
            metadata: f.metadata.into_iter().map(condition).collect(),
            capabilities: f.capabilities,
            shard: f.shard.map(|s| {
                if s.by_id {
                    ShardWanted::Id(s.id)
                } else {
                    ShardWanted::Key(s.key.0)
                }
            }),
            healths: f.healths,
            lifecycles: f.lifecycles,
            regions: f.regions,
            zones: f.zones,
            ids: f.instance_ids,
            endpoints: f.endpoint_names,
        }
    }
}

impl From<InstanceInput> for Candidate {
    fn from(i: InstanceInput) -> Candidate {
        Candidate {
            id: i.instance_id,
            version: i.version,
            region: i.region,
            zone: i.zone,
            health: i.health,
            lifecycle: i.lifecycle,
            metadata: i.metadata,
            capabilities: i.capabilities,
            shard: i.shard.map(|s| {
                if s.by_id {
                    ShardServed::Ids(s.ids)
                } else {
                    ShardServed::Keys(s.start.0, s.end.0)
                }
            }),
            endpoints: i.endpoint_names,
        }
    }
}

pub(super) fn matching(input: &str) -> Result<String, serde_json::Error> {
    rule(input, |input: Input| {
        let names = Names {
            services: input.names.services,
            namespace: input.names.namespace,
            prefix: input.names.prefix,
        };
        let selected = names.matches(&input.instance.namespace, &input.instance.service);
        Output {
            selected,
            passes: Filter::from(input.filter).matches(&input.instance.into()),
        }
    })
}
