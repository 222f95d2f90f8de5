//! What a channel can dial, and the sets of it that it is given.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Reason;

/// How requests travel to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 in plaintext, with prior knowledge.
    H2c,
    /// HTTP/2 over TLS.
    H2Tls,
}

/// The identity of a connection: two endpoints with equal keys share one.
///
/// It is not the instance: several instances may be announced behind one address, and an instance
/// that changes its weight keeps its connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// Plaintext or TLS.
    pub protocol: Protocol,
    /// What to dial: `host:port`, with an IPv6 address in brackets.
    pub address: Arc<str>,
    /// The name wanted in the endpoint's certificate. `None`: the channel's authority.
    pub server_name: Option<Arc<str>>,
}

impl EndpointKey {
    /// The key of a plaintext endpoint without a server name of its own.
    #[must_use]
    pub fn plaintext(address: &str) -> Self {
        Self {
            protocol: Protocol::H2c,
            address: address.into(),
            server_name: None,
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

/// One endpoint of the set that a channel spreads its requests over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What to dial.
    pub key: EndpointKey,
    /// The share of new requests relative to the others. 0: no new requests; a connection that
    /// exists is kept and its streams finish.
    pub weight: u32,
    /// The revision that created the lease of the instance. A change of it means another process:
    /// what was learned about the last one, such as its backoff, is void.
    pub create_revision: u64,
    /// The `:authority` of requests. `None`: the key's server name, else the channel's authority.
    pub authority: Option<Arc<str>>,
}

impl Endpoint {
    /// A plaintext endpoint with the given address (`host:port`) and weight.
    #[must_use]
    pub fn plaintext(address: &str, weight: u32) -> Self {
        Self {
            key: EndpointKey::plaintext(address),
            weight,
            create_revision: 0,
            authority: None,
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
            absence: None,
        }
    }

    /// Whether anything is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.generation > 0
    }
}

/// What one connection stands for, once endpoints with equal keys are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) weight: u64,
    pub(crate) create_revision: u64,
    pub(crate) authority: Option<Arc<str>>,
}

/// Joins endpoints with equal keys: weights add up, the latest revision and its authority win.
pub(crate) fn merge(endpoints: &[Endpoint]) -> BTreeMap<EndpointKey, Merged> {
    let mut merged: BTreeMap<EndpointKey, Merged> = BTreeMap::new();
    for endpoint in endpoints {
        let one = Merged {
            weight: u64::from(endpoint.weight),
            create_revision: endpoint.create_revision,
            authority: endpoint.authority.clone(),
        };
        match merged.get_mut(&endpoint.key) {
            None => drop(merged.insert(endpoint.key.clone(), one)),
            Some(all) => {
                all.weight += one.weight;
                // Of two equal revisions the lesser authority wins, so that the order of the set
                // means nothing.
                if (one.create_revision, &all.authority) > (all.create_revision, &one.authority) {
                    all.create_revision = one.create_revision;
                    all.authority = one.authority;
                }
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arbitrary_endpoint() -> impl Strategy<Value = Endpoint> {
        (0..4u8, 0..3u32, 0..3u64, 0..3u8).prop_map(|(port, weight, revision, authority)| {
            let mut endpoint = Endpoint::plaintext(&format!("a:{port}"), weight);
            endpoint.create_revision = revision;
            endpoint.authority = (authority > 0).then(|| format!("n{authority}").into());
            endpoint
        })
    }

    proptest! {
        #[test]
        fn merging_keeps_all_weight_and_ignores_order(
            mut endpoints in proptest::collection::vec(arbitrary_endpoint(), 0..12),
            turn in 0..12usize,
        ) {
            let merged = merge(&endpoints);
            let total: u64 = endpoints.iter().map(|e| u64::from(e.weight)).sum();
            prop_assert_eq!(merged.values().map(|m| m.weight).sum::<u64>(), total);
            if !endpoints.is_empty() {
                let by = turn % endpoints.len();
                endpoints.rotate_left(by);
            }
            prop_assert_eq!(merge(&endpoints), merged);
        }
    }
}
