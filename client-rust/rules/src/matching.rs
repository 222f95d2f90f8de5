//! Which instances a selector means.

use std::collections::BTreeMap;

use crate::semver_range::semver_matches;

/// Says which services are wanted: some by their full names, or all that begin so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// `namespace/service`; without them namespace and prefix count.
    pub services: Vec<String>,
    /// The namespace, whole; empty is every namespace.
    pub namespace: String,
    /// The prefix of the services' names; empty matches all.
    pub prefix: String,
}

impl Names {
    /// Whether a service is wanted.
    #[must_use]
    pub fn matches(&self, namespace: &str, service: &str) -> bool {
        if !self.services.is_empty() {
            let full = format!("{namespace}/{service}");
            return self.services.contains(&full);
        }
        (self.namespace.is_empty() || self.namespace == namespace)
            && service.starts_with(&self.prefix)
    }
}

/// A conjunction: an instance passes if every field that is set matches. A list without elements
/// is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The range that the version must be in; a text that is no range matches nothing.
    pub version_range: String,
    /// Conditions that must all match.
    pub metadata: Vec<MetadataCondition>,
    /// Capabilities that the instance must all have.
    pub capabilities: Vec<String>,
    /// The shard that the instance must serve; none is any.
    pub shard: Option<ShardWanted>,
    /// Healths of which the instance's must be one.
    pub healths: Vec<String>,
    /// Lifecycles of which the instance's must be one.
    pub lifecycles: Vec<String>,
    /// Regions of which the instance's must be one.
    pub regions: Vec<String>,
    /// Zones of which the instance's must be one.
    pub zones: Vec<String>,
    /// Ids of which the instance's must be one.
    pub ids: Vec<String>,
    /// Names of endpoints of which the instance must have one.
    pub endpoints: Vec<String>,
}

/// Is met by a key that exists, with one of the values if there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataCondition {
    /// The key.
    pub key: String,
    /// The values.
    pub values: Vec<String>,
}

/// Which part of a sharded service is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardWanted {
    /// The shard of this number.
    Id(u32),
    /// The shard that serves this key.
    Key(Vec<u8>),
}

/// What a filter looks at in an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The id.
    pub id: String,
    /// The version.
    pub version: String,
    /// The region.
    pub region: String,
    /// The zone.
    pub zone: String,
    /// The name of its health; empty reads as HEALTHY.
    pub health: String,
    /// The name of its lifecycle; empty reads as SERVING.
    pub lifecycle: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its capabilities.
    pub capabilities: Vec<String>,
    /// None for an instance that serves everything.
    pub shard: Option<ShardServed>,
    /// The names of its endpoints.
    pub endpoints: Vec<String>,
}

/// Which part of a sharded service an instance serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardServed {
    /// The shards of these numbers.
    Ids(Vec<u32>),
    /// The keys from the first to the second, that excluded; an empty first is the lowest, an
    /// empty second past the highest.
    Keys(Vec<u8>, Vec<u8>),
}

impl Filter {
    /// Whether an instance passes.
    #[must_use]
    pub fn matches(&self, c: &Candidate) -> bool {
        one_of(&self.healths, or_else(&c.health, "HEALTHY"))
            && one_of(&self.lifecycles, or_else(&c.lifecycle, "SERVING"))
            && one_of(&self.ids, &c.id)
            && one_of(&self.regions, &c.region)
            && one_of(&self.zones, &c.zone)
            && self.capabilities.iter().all(|w| c.capabilities.contains(w))
            && (self.endpoints.is_empty() || c.endpoints.iter().any(|e| self.endpoints.contains(e)))
            && self.matches_metadata(&c.metadata)
            && self.matches_shard(c.shard.as_ref())
            && semver_matches(&self.version_range, &c.version)
    }

    fn matches_metadata(&self, has: &BTreeMap<String, String>) -> bool {
        self.metadata.iter().all(|m| {
            has.get(&m.key)
                .is_some_and(|value| one_of(&m.values, value))
        })
    }

    /// An instance that is sharded in the other way cannot be known to serve what is wanted.
    fn matches_shard(&self, served: Option<&ShardServed>) -> bool {
        match (&self.shard, served) {
            (None, _) | (_, None) => true,
            (Some(ShardWanted::Id(id)), Some(ShardServed::Ids(ids))) => ids.contains(id),
            (Some(ShardWanted::Key(key)), Some(ShardServed::Keys(start, end))) => {
                start <= key && (end.is_empty() || key < end)
            }
            _ => false,
        }
    }
}

fn one_of(list: &[String], value: &str) -> bool {
    list.is_empty() || list.iter().any(|one| one == value)
}

fn or_else<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}
