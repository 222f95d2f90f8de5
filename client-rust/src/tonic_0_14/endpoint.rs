//! What a channel can dial, and the sets of it that it is given.

use std::fmt;
use std::sync::Arc;

use muster_rules::slot_key::SlotKey;

use crate::error::Reason;
use crate::kinds::{Health, Lifecycle, Position};
use crate::policy::TrafficPolicy;

/// How requests travel to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 in plaintext, with prior knowledge.
    H2c,
    /// HTTP/2 over TLS.
    H2Tls,
    /// The same, and the peer asks for a certificate of the client.
    H2MutualTls,
}

impl Protocol {
    /// Its name in keys of slots.
    fn security(self) -> &'static str {
        match self {
            Self::H2c => "PLAINTEXT",
            Self::H2Tls => "TLS",
            Self::H2MutualTls => "MUTUAL_TLS",
        }
    }
}

/// The identity of a connection: two endpoints with equal keys share one.
///
/// It is not the instance: several instances may be announced behind one address, and an instance
/// that changes its weight keeps its connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// Plaintext or TLS.
    pub protocol: Protocol,
    /// What to dial: `host:port`, with an IPv6 address in brackets. Empty: there is nothing to dial.
    pub address: Arc<str>,
    /// The name wanted in the endpoint's certificate. `None`: the channel's authority.
    pub server_name: Option<Arc<str>>,
    /// The `:authority` of requests. `None`: the server name, else the channel's authority.
    pub authority: Option<Arc<str>>,
}

impl EndpointKey {
    /// The key of a plaintext endpoint without a server name of its own.
    #[must_use]
    pub fn plaintext(address: &str) -> Self {
        Self {
            protocol: Protocol::H2c,
            address: address.into(),
            server_name: None,
            authority: None,
        }
    }

    /// The key by which rules know it, in a channel of this authority.
    pub(crate) fn slot<'a>(&'a self, authority: &'a str) -> SlotKey<'a> {
        if self.address.is_empty() {
            return SlotKey::default();
        }
        let server_name = self.server_name.as_deref().unwrap_or(authority);
        SlotKey {
            protocol: "GRPC",
            address: &self.address,
            server_name,
            security: self.protocol.security(),
            authority: self.authority.as_deref().unwrap_or(server_name),
        }
    }
}

impl fmt::Display for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)?;
        match &self.server_name {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// An instance of the target, with the endpoint to dial. [`Endpoint::plaintext`] has defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What to dial.
    pub key: EndpointKey,
    /// The id of the instance, for pins and explanations. Default: the address.
    pub instance: Arc<str>,
    /// The share of new requests relative to the others. 0: no new requests; a connection that
    /// exists is kept and its streams finish.
    pub weight: u32,
    /// What the instance is doing with its life. Default: it serves.
    pub lifecycle: Lifecycle,
    /// How well it does. Default: healthy.
    pub health: Health,
    /// Its version; empty if unknown.
    pub version: Arc<str>,
    /// Its region; empty if unknown.
    pub region: Arc<str>,
    /// Its zone; empty if unknown.
    pub zone: Arc<str>,
    /// Rises when the instance is registered anew. A change of it means another process: what was
    /// learned about the last one, such as its backoff, is void.
    pub generation: u64,
}

impl Endpoint {
    /// A plaintext endpoint with the given address (`host:port`) and weight.
    #[must_use]
    pub fn plaintext(address: &str, weight: u32) -> Self {
        Self {
            key: EndpointKey::plaintext(address),
            instance: address.into(),
            weight,
            lifecycle: Lifecycle::Serving,
            health: Health::Healthy,
            version: Arc::default(),
            region: Arc::default(),
            zone: Arc::default(),
            generation: 0,
        }
    }
}

/// Why a set holds no endpoint, for the errors of the calls that find none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The cause for machines, such as `NO_INSTANCES` or `SERVICE_UNKNOWN`.
    pub reason: Reason,
    /// The cause in words, with the name of the service: "shop/pay has no instances: the last one
    /// deregistered 12s ago".
    pub text: String,
}

/// All endpoints of a target at one moment.
///
/// Generation 0 means that nothing is known yet; a set that is known and empty has a later one.
/// Generations rise; the channel reports each that it has applied, see
/// [`Channel::applied`](super::Channel::applied).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSet {
    /// The position of this set in its source's sequence of sets.
    pub generation: u64,
    /// In any order. Entries with equal keys are merged: weights add up.
    pub endpoints: Vec<Endpoint>,
    /// Where in the registry's history this is, for messages. Default: nowhere.
    pub position: Position,
    /// How to spread requests over them. Default: everything as operators would leave it.
    pub policy: TrafficPolicy,
    /// Why the set is empty, if it is and if that is known.
    pub absence: Option<Absence>,
}

impl EndpointSet {
    /// The set before anything is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// A set with these endpoints. `generation` must be greater than 0.
    #[must_use]
    pub fn new(generation: u64, endpoints: Vec<Endpoint>) -> Self {
        Self {
            generation,
            endpoints,
            position: Position::default(),
            policy: TrafficPolicy::default(),
            absence: None,
        }
    }

    /// Whether anything is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.generation > 0
    }
}
