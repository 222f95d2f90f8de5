//! Instances and services as watchers see them, and their form on the wire.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use muster_proto::v1;
use muster_rules::defaults;

use crate::kinds::{
    Health, HealthSource, Lifecycle, Position, Protocol, RemovalReason, Security, Timestamp,
};
use crate::policy::TrafficPolicy;

/// What names one instance. An id is unique only within its service. Ordered by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// The namespace.
    pub namespace: String,
    /// The service within the namespace.
    pub service: String,
    /// The instance within the service.
    pub instance_id: String,
}

impl From<v1::InstanceKey> for InstanceKey {
    fn from(k: v1::InstanceKey) -> InstanceKey {
        InstanceKey {
            namespace: k.namespace,
            service: k.service,
            instance_id: k.instance_id,
        }
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.namespace, self.service, self.instance_id
        )
    }
}

/// The full name of a service. Ordered by bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// The namespace.
    pub namespace: String,
    /// The service within the namespace.
    pub service: String,
}

impl ServiceName {
    /// A service's name.
    pub fn new(namespace: impl Into<String>, service: impl Into<String>) -> ServiceName {
        ServiceName {
            namespace: namespace.into(),
            service: service.into(),
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.service)
    }
}

/// One thing that clients dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Endpoint {
    /// The named port, unique within the instance.
    pub name: String,
    /// `host:port`, as clients dial it.
    pub address: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Whether the connection is encrypted.
    pub security: Security,
    /// The name in the endpoint's certificate; empty means `<service>.<namespace>`.
    pub server_name: String,
    /// The `:authority` of requests; empty means `server_name` or its default.
    pub authority: String,
}

/// Where an instance runs. Empty parts are unknown, which is near to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Locality {
    /// The region, such as `eu-west`.
    pub region: String,
    /// The zone within the region, such as `eu-west-1a`.
    pub zone: String,
}

/// The part of a sharded service that an instance serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shard {
    /// The half-open range of keys `[start, end)`, compared as bytes; empty ends are open.
    KeyRange {
        /// The first key.
        start: Vec<u8>,
        /// The first key after the range.
        end: Vec<u8>,
    },
    /// A set of shard numbers, ascending.
    Ids(Vec<u32>),
}

/// One source's word on an instance's health.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthSlot {
    /// Who says it.
    pub source: HealthSource,
    /// What it says.
    pub health: Health,
    /// Why, for people.
    pub reason: String,
    /// Since when, for people.
    pub since_time: Option<Timestamp>,
}

/// Where an imported instance comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The region that it was imported from.
    pub region: String,
    /// The cluster there.
    pub cluster_id: String,
    /// Where in the history there.
    pub position: Position,
}

/// One registered process of a service, as every watcher sees it. Immutable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// What names it.
    pub key: InstanceKey,
    /// The release it runs, as semantic version; empty means unversioned.
    pub version: String,
    /// What clients dial.
    pub endpoints: Vec<Endpoint>,
    /// Where it runs.
    pub locality: Locality,
    /// Its share of new requests relative to the others; 0 takes none.
    pub weight: u32,
    /// What it is doing with its life.
    pub lifecycle: Lifecycle,
    /// The part of the service that it serves; none means all.
    pub shard: Option<Shard>,
    /// Anything else.
    pub metadata: BTreeMap<String, String>,
    /// Names of its optional abilities.
    pub capabilities: Vec<String>,
    /// The version of the form of the entry, chosen by the owners of the service.
    pub schema_version: u32,
    /// The verdict over `health_slots`.
    pub health: Health,
    /// Who says what of its health.
    pub health_slots: Vec<HealthSlot>,
    /// The public name of the lease that holds it; it rises with every registration.
    pub incarnation: u64,
    /// The revision at which the key came to exist.
    pub create_revision: u64,
    /// The revision of the last public change.
    pub modify_revision: u64,
    /// When the key was created, for people.
    pub create_time: Option<Timestamp>,
    /// When it last changed, for people.
    pub modify_time: Option<Timestamp>,
    /// Set if it was imported from another region.
    pub origin: Option<Origin>,
    /// Whether this is an entry of a lost history that did not come back yet. It can be routed to,
    /// but the registry cannot vouch for it.
    pub unconfirmed: bool,
    pub(crate) tag: u64,
}

impl Instance {
    /// The endpoint of this name.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.name == name)
    }

    /// The service that it is of.
    #[must_use]
    pub fn service_name(&self) -> ServiceName {
        ServiceName::new(&self.key.namespace, &self.key.service)
    }

    /// The entry as a watcher's; what the server left out has its documented meaning.
    pub(crate) fn from_wire(i: v1::Instance) -> Instance {
        Instance {
            key: InstanceKey {
                namespace: i.namespace,
                service: i.service,
                instance_id: i.instance_id,
            },
            version: i.version,
            endpoints: i.endpoints.into_iter().map(endpoint_from_wire).collect(),
            locality: i.locality.map(locality_from_wire).unwrap_or_default(),
            weight: i.weight.unwrap_or(defaults::WEIGHT),
            lifecycle: Lifecycle::from_wire(i.lifecycle),
            shard: i.shard.and_then(shard_from_wire),
            metadata: i.metadata.into_iter().collect(),
            capabilities: i.capabilities,
            schema_version: i.schema_version,
            health: Health::from_wire(i.health),
            health_slots: i.health_slots.into_iter().map(slot_from_wire).collect(),
            incarnation: i.incarnation,
            create_revision: i.create_revision,
            modify_revision: i.modify_revision,
            create_time: i.create_time.as_ref().map(Timestamp::from),
            modify_time: i.modify_time.as_ref().map(Timestamp::from),
            origin: i.origin.map(|o| Origin {
                region: o.region,
                cluster_id: o.cluster_id,
                position: Position::new(o.epoch, o.revision),
            }),
            unconfirmed: false,
            tag: i.tag,
        }
    }
}

fn endpoint_from_wire(e: v1::Endpoint) -> Endpoint {
    Endpoint {
        protocol: Protocol::from_wire(e.protocol),
        security: Security::from_wire(e.security),
        name: e.name,
        address: e.address,
        server_name: e.server_name,
        authority: e.authority,
    }
}

fn locality_from_wire(l: v1::Locality) -> Locality {
    Locality {
        region: l.region,
        zone: l.zone,
    }
}

fn shard_from_wire(s: v1::Shard) -> Option<Shard> {
    Some(match s.kind? {
        v1::shard::Kind::KeyRange(r) => Shard::KeyRange {
            start: r.start.into(),
            end: r.end.into(),
        },
        v1::shard::Kind::ShardIds(s) => Shard::Ids(s.ids),
    })
}

pub(crate) fn shard_to_wire(s: &Shard) -> v1::Shard {
    v1::Shard {
        kind: Some(match s {
            Shard::KeyRange { start, end } => v1::shard::Kind::KeyRange(v1::KeyRange {
                start: start.clone().into(),
                end: end.clone().into(),
            }),
            Shard::Ids(ids) => v1::shard::Kind::ShardIds(v1::ShardIds { ids: ids.clone() }),
        }),
    }
}

fn slot_from_wire(s: v1::HealthSlot) -> HealthSlot {
    HealthSlot {
        source: HealthSource::from_wire(s.source),
        health: Health::from_wire(s.health),
        reason: s.reason,
        since_time: s.since_time.as_ref().map(Timestamp::from),
    }
}

/// What the registry remembers of a service apart from its instances.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceState {
    /// Which service.
    pub name: ServiceName,
    /// Whether the mass-expiry guard holds instances of it that are overdue.
    pub held: bool,
    /// How the last instance went; none while the service has instances.
    pub emptied: Option<Emptied>,
    /// How operators want traffic spread; none if they said nothing.
    pub policy: Option<TrafficPolicy>,
    /// The revision at which the service came to exist.
    pub create_revision: u64,
    /// The revision of the last change of this state.
    pub modify_revision: u64,
    pub(crate) tag: u64,
}

/// How a service lost its last instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Emptied {
    /// Why the last instance went.
    pub reason: RemovalReason,
    /// Its id.
    pub instance_id: String,
    /// The revision at which it went.
    pub revision: u64,
    /// When, for people.
    pub time: Option<Timestamp>,
}

impl ServiceState {
    /// The state of a service whose instances were given to the client.
    pub(crate) fn given(name: &ServiceName) -> ServiceState {
        ServiceState {
            name: name.clone(),
            held: false,
            emptied: None,
            policy: None,
            create_revision: 0,
            modify_revision: 0,
            tag: 0,
        }
    }

    pub(crate) fn from_wire(s: v1::ServiceState) -> ServiceState {
        ServiceState {
            name: ServiceName::new(s.namespace, s.service),
            held: !s.holds.is_empty(),
            emptied: s.emptied.map(|e| Emptied {
                reason: RemovalReason::from_wire(e.reason),
                instance_id: e.instance_id,
                revision: e.revision,
                time: e.time.as_ref().map(Timestamp::from),
            }),
            policy: s.policy.map(TrafficPolicy::from_wire),
            create_revision: s.create_revision,
            modify_revision: s.modify_revision,
            tag: s.tag,
        }
    }
}

/// A duration from the wire; negative or absurd ones are none.
pub(crate) fn duration_from_wire(d: Option<&prost_types::Duration>) -> Option<Duration> {
    let d = d?;
    let seconds = u64::try_from(d.seconds).ok()?;
    let nanos = u32::try_from(d.nanos).ok()?;
    (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

/// A duration for the wire, in whole milliseconds.
pub(crate) fn duration_to_wire(d: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(d.subsec_millis() * 1_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_reads_what_is_left_out() {
        let i = Instance::from_wire(v1::Instance {
            namespace: "shop".into(),
            service: "pay".into(),
            instance_id: "pay-7".into(),
            endpoints: vec![v1::Endpoint {
                name: "grpc".into(),
                address: "10.0.0.5:8080".into(),
                ..Default::default()
            }],
            ..Default::default()
        });
        assert_eq!(i.weight, 100);
        assert_eq!(i.lifecycle, Lifecycle::Serving);
        assert_eq!(i.health, Health::Healthy);
        assert_eq!(i.key.to_string(), "shop/pay/pay-7");
        let e = i.endpoint("grpc").expect("the endpoint");
        assert_eq!(
            (e.protocol, e.security),
            (Protocol::Grpc, Security::Plaintext)
        );
        assert!(i.endpoint("admin").is_none());
    }

    #[test]
    fn durations_travel_in_whole_milliseconds() {
        let d = Duration::from_micros(1_500_999);
        assert_eq!(
            duration_from_wire(Some(&duration_to_wire(d))),
            Some(Duration::from_millis(1_500))
        );
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        assert_eq!(duration_from_wire(Some(&negative)), None);
        assert_eq!(duration_from_wire(None), None);
    }
}
