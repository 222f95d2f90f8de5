//! Filters and instances as the rule of matching reads them.

use muster_proto::v1;
use muster_proto::v1::{shard, shard_match};
use muster_rules::matching::{Candidate, Filter, MetadataCondition, ShardServed, ShardWanted};

/// A filter as the rule of matching reads it.
pub(super) fn filter_of(f: &v1::InstanceFilter) -> Filter {
    let condition = |m: &v1::MetadataMatch| MetadataCondition {
        key: m.key.clone(),
        values: m.values.clone(),
    };
    let wanted = f.shard.as_ref().and_then(|s| s.kind.as_ref());
    Filter {
        version_range: f.version_range.clone(),
        metadata: f.metadata.iter().map(condition).collect(),
        capabilities: f.capabilities.clone(),
        shard: wanted.map(|kind| match kind {
            shard_match::Kind::Key(key) => ShardWanted::Key(key.to_vec()),
            shard_match::Kind::ShardId(id) => ShardWanted::Id(*id),
        }),
        healths: f.healths().map(health_name).collect(),
        lifecycles: f.lifecycles().map(lifecycle_name).collect(),
        regions: f.regions.clone(),
        zones: f.zones.clone(),
        ids: f.instance_ids.clone(),
        endpoints: f.endpoint_names.clone(),
    }
}

/// An instance as the rule of matching reads it.
pub(super) fn candidate_of(i: &v1::Instance) -> Candidate {
    let locality = i.locality.clone().unwrap_or_default();
    let served = i.shard.as_ref().and_then(|s| s.kind.as_ref());
    Candidate {
        id: i.instance_id.clone(),
        version: i.version.clone(),
        region: locality.region,
        zone: locality.zone,
        health: health_name(i.health()),
        lifecycle: lifecycle_name(i.lifecycle()),
        metadata: i.metadata.clone().into_iter().collect(),
        capabilities: i.capabilities.clone(),
        shard: served.map(|kind| match kind {
            shard::Kind::KeyRange(r) => ShardServed::Keys(r.start.to_vec(), r.end.to_vec()),
            shard::Kind::ShardIds(s) => ShardServed::Ids(s.ids.clone()),
        }),
        endpoints: i.endpoints.iter().map(|e| e.name.clone()).collect(),
    }
}

/// Empty if nothing is said.
fn health_name(h: v1::Health) -> String {
    let name = h.as_str_name().trim_start_matches("HEALTH_");
    name.trim_start_matches("UNSPECIFIED").to_owned()
}

/// Empty if nothing is said.
fn lifecycle_name(l: v1::Lifecycle) -> String {
    let name = l.as_str_name().trim_start_matches("LIFECYCLE_");
    name.trim_start_matches("UNSPECIFIED").to_owned()
}
