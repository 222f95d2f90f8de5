//! What a process registers: [`InstanceSpec`] and [`EndpointSpec`].

use std::collections::BTreeMap;

use muster_proto::v1;
use muster_rules::defaults;

use crate::instance::{InstanceKey, Locality, ServiceName, Shard, shard_to_wire};
use crate::kinds::{Health, Lifecycle, Protocol, Security};

/// One instance to register. Build it with [`InstanceSpec::new`] and the methods named for what
/// they set; [`Client::register`](crate::Client::register) checks it.
///
/// ```
/// use muster_client::{EndpointSpec, InstanceSpec};
///
/// let spec = InstanceSpec::new("shop", "pay")
///     .id("pay-7")
///     .version("1.4.2")
///     .endpoint(EndpointSpec::new("grpc", "10.0.0.5:8080"))
///     .metadata("team", "checkout");
/// assert_eq!(spec.service, "pay");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a spec does nothing until it is registered"]
pub struct InstanceSpec {
    /// The namespace: 1 to 63 of `a-z`, `0-9`, `-`, with a letter or digit at both ends.
    pub namespace: String,
    /// The service: 1 to 63 of `a-z`, `0-9`, `-`, `.`, `_`, with a letter or digit at both ends.
    pub service: String,
    /// The process within the service: 1 to 128 of letters, digits, `-`, `.`, `_`, `:`. Empty: the
    /// client draws `<service>-<random>` when it registers.
    pub instance_id: String,
    /// The release, as semantic version without `v`; empty means unversioned.
    pub version: String,
    /// What clients dial: at most 16, with distinct names.
    pub endpoints: Vec<EndpointSpec>,
    /// Where the process runs.
    pub locality: Locality,
    /// The share of new requests relative to the others; 0 takes none, at most 1,000,000.
    pub weight: u32,
    /// `Serving` or `Starting`.
    pub lifecycle: Lifecycle,
    /// The part of the service that the process serves; none means all.
    pub shard: Option<Shard>,
    /// Anything else: at most 64 keys, 16 KiB together.
    pub metadata: BTreeMap<String, String>,
    /// Names of optional abilities, at most 64.
    pub capabilities: Vec<String>,
    /// The version of the form of this entry, chosen by the owners of the service.
    pub schema_version: u32,
    /// What the process says of its own health.
    pub health: Health,
    /// Why it says so, for people; at most 256 bytes.
    pub health_reason: String,
}

impl InstanceSpec {
    /// An instance of this service, healthy, serving, of weight 100, without endpoints.
    pub fn new(namespace: impl Into<String>, service: impl Into<String>) -> InstanceSpec {
        InstanceSpec {
            namespace: namespace.into(),
            service: service.into(),
            instance_id: String::new(),
            version: String::new(),
            endpoints: Vec::new(),
            locality: Locality::default(),
            weight: defaults::WEIGHT,
            lifecycle: Lifecycle::Serving,
            shard: None,
            metadata: BTreeMap::new(),
            capabilities: Vec::new(),
            schema_version: 0,
            health: Health::Healthy,
            health_reason: String::new(),
        }
    }

    /// Sets the id. A process that restarts may use its id again; two processes alive at once
    /// must not share one.
    pub fn id(mut self, instance_id: impl Into<String>) -> Self {
        self.instance_id = instance_id.into();
        self
    }

    /// Sets the release.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Adds an endpoint.
    pub fn endpoint(mut self, endpoint: EndpointSpec) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// Sets where the process runs.
    pub fn locality(mut self, region: impl Into<String>, zone: impl Into<String>) -> Self {
        self.locality = Locality {
            region: region.into(),
            zone: zone.into(),
        };
        self
    }

    /// Sets the weight.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the lifecycle; register with `Starting` and let `serve` set `Serving`.
    pub fn lifecycle(mut self, lifecycle: Lifecycle) -> Self {
        self.lifecycle = lifecycle;
        self
    }

    /// Sets the part of the service that the process serves.
    pub fn shard(mut self, shard: Shard) -> Self {
        self.shard = Some(shard);
        self
    }

    /// Adds a metadata entry.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds a capability.
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.capabilities.push(name.into());
        self
    }

    /// Sets the version of the form of this entry.
    pub fn schema_version(mut self, version: u32) -> Self {
        self.schema_version = version;
        self
    }

    /// Sets what the process says of its own health, and why.
    pub fn health(mut self, health: Health, reason: impl Into<String>) -> Self {
        self.health = health;
        self.health_reason = reason.into();
        self
    }

    /// Draws an id at random if there is none.
    pub(crate) fn identify(&mut self, word: impl FnOnce() -> u64) {
        if self.instance_id.is_empty() {
            self.instance_id = format!("{}-{:08x}", self.service, word() >> 32);
        }
    }

    pub(crate) fn key(&self) -> InstanceKey {
        InstanceKey {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            instance_id: self.instance_id.clone(),
        }
    }

    pub(crate) fn service_name(&self) -> ServiceName {
        ServiceName::new(&self.namespace, &self.service)
    }

    pub(crate) fn to_wire(&self) -> v1::Instance {
        let known = |l: &Locality| !l.region.is_empty() || !l.zone.is_empty();
        v1::Instance {
            namespace: self.namespace.clone(),
            service: self.service.clone(),
            instance_id: self.instance_id.clone(),
            version: self.version.clone(),
            endpoints: self.endpoints.iter().map(EndpointSpec::to_wire).collect(),
            locality: known(&self.locality).then(|| v1::Locality {
                region: self.locality.region.clone(),
                zone: self.locality.zone.clone(),
            }),
            weight: Some(self.weight),
            lifecycle: self.lifecycle.to_wire(),
            shard: self.shard.as_ref().map(shard_to_wire),
            metadata: self.metadata.clone().into_iter().collect(),
            capabilities: self.capabilities.clone(),
            schema_version: self.schema_version,
            self_health: Some(v1::SelfHealth {
                health: self.health.to_wire(),
                reason: self.health_reason.clone(),
            }),
            ..Default::default()
        }
    }
}

/// One thing that clients dial.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "an endpoint does nothing until it is part of an instance"]
pub struct EndpointSpec {
    /// The named port, unique within the instance: 1 to 63 of `a-z`, `0-9`, `-`.
    pub name: String,
    /// `host:port` as others dial it. Use [`advertise_from`](crate::advertise_from) for a listener
    /// of this process.
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

impl EndpointSpec {
    /// A plaintext gRPC endpoint.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> EndpointSpec {
        EndpointSpec {
            name: name.into(),
            address: address.into(),
            protocol: Protocol::Grpc,
            security: Security::Plaintext,
            server_name: String::new(),
            authority: String::new(),
        }
    }

    /// Sets what is spoken there.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets whether the connection is encrypted.
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Sets the name in the endpoint's certificate.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = name.into();
        self
    }

    /// Sets the `:authority` of requests.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = authority.into();
        self
    }

    fn to_wire(&self) -> v1::Endpoint {
        v1::Endpoint {
            name: self.name.clone(),
            address: self.address.clone(),
            protocol: self.protocol.to_wire(),
            security: self.security.to_wire(),
            server_name: self.server_name.clone(),
            authority: self.authority.clone(),
        }
    }
}
