//! What a client wants to see: [`Selector`].

use std::fmt;

use muster_proto::v1;
use muster_rules::matching;
use prost::Message;

use crate::error::{Error, Reason};
use crate::instance::ServiceName;
use crate::kinds::{Health, Lifecycle};
use crate::validate;

/// Which entries a client wants: services by name, and of those the instances that pass the filter.
///
/// Naming a service that was never registered is legal: it appears when it does. Clients that route
/// should not filter by health or lifecycle, which would blind their panic threshold.
///
/// ```
/// use muster_client::Selector;
///
/// let all = Selector::service("shop", "pay");
/// let canary = Selector::service("shop", "pay").version_range(">=2.0.0 <3.0.0");
/// assert_eq!(all.to_string(), "shop/pay");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a selector does nothing until it is looked up or subscribed to"]
pub struct Selector {
    names: Names,
    filter: Filter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    Services(Vec<ServiceName>),
    Prefix { namespace: String, prefix: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Filter {
    version_range: String,
    metadata: Vec<(String, Vec<String>)>,
    capabilities: Vec<String>,
    shard: Option<ShardMatch>,
    healths: Vec<Health>,
    lifecycles: Vec<Lifecycle>,
    regions: Vec<String>,
    zones: Vec<String>,
    instance_ids: Vec<String>,
    endpoint_names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ShardMatch {
    Key(Vec<u8>),
    Id(u32),
}

impl Selector {
    /// One service.
    pub fn service(namespace: impl Into<String>, service: impl Into<String>) -> Selector {
        Selector::services([ServiceName::new(namespace, service)])
    }

    /// These services. The order means nothing.
    pub fn services(names: impl IntoIterator<Item = ServiceName>) -> Selector {
        let mut names: Vec<ServiceName> = names.into_iter().collect();
        names.sort();
        names.dedup();
        Selector {
            names: Names::Services(names),
            filter: Filter::default(),
        }
    }

    /// Every service of a namespace whose name begins so, those of the future included. Both empty:
    /// every service of every namespace.
    pub fn prefix(namespace: impl Into<String>, prefix: impl Into<String>) -> Selector {
        Selector {
            names: Names::Prefix {
                namespace: namespace.into(),
                prefix: prefix.into(),
            },
            filter: Filter::default(),
        }
    }

    /// Only versions that satisfy all of these comparators, such as `>=1.2.0 <2.0.0`.
    pub fn version_range(mut self, range: impl Into<String>) -> Self {
        self.filter.version_range = range.into();
        self
    }

    /// Only instances whose metadata has this key with one of these values; no values: any.
    pub fn metadata<V: Into<String>>(
        mut self,
        key: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = sorted(values.into_iter().map(Into::into).collect());
        self.filter.metadata.push((key.into(), values));
        self.filter.metadata.sort();
        self.filter.metadata.dedup();
        self
    }

    /// Only instances that have this capability too.
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.filter.capabilities.push(name.into());
        self.filter.capabilities = sorted(self.filter.capabilities);
        self
    }

    /// Only instances that serve the shard of this key.
    pub fn shard_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.filter.shard = Some(ShardMatch::Key(key.into()));
        self
    }

    /// Only instances that serve the shard of this number.
    pub fn shard_id(mut self, id: u32) -> Self {
        self.filter.shard = Some(ShardMatch::Id(id));
        self
    }

    /// Only instances whose verdict is one of these. For tools; routing clients should not.
    pub fn healths(mut self, healths: impl IntoIterator<Item = Health>) -> Self {
        self.filter.healths = sorted(healths.into_iter().collect());
        self
    }

    /// Only instances of one of these lifecycles. For tools; routing clients should not.
    pub fn lifecycles(mut self, lifecycles: impl IntoIterator<Item = Lifecycle>) -> Self {
        self.filter.lifecycles = sorted(lifecycles.into_iter().collect());
        self
    }

    /// Only instances in one of these regions.
    pub fn regions<V: Into<String>>(mut self, regions: impl IntoIterator<Item = V>) -> Self {
        self.filter.regions = sorted(regions.into_iter().map(Into::into).collect());
        self
    }

    /// Only instances in one of these zones.
    pub fn zones<V: Into<String>>(mut self, zones: impl IntoIterator<Item = V>) -> Self {
        self.filter.zones = sorted(zones.into_iter().map(Into::into).collect());
        self
    }

    /// Only instances of one of these ids.
    pub fn instance_ids<V: Into<String>>(mut self, ids: impl IntoIterator<Item = V>) -> Self {
        self.filter.instance_ids = sorted(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Only instances that have an endpoint of one of these names.
    pub fn endpoint_names<V: Into<String>>(mut self, names: impl IntoIterator<Item = V>) -> Self {
        self.filter.endpoint_names = sorted(names.into_iter().map(Into::into).collect());
        self
    }

    /// Whether instances may be left out.
    pub(crate) fn is_filtered(&self) -> bool {
        self.filter != Filter::default()
    }

    /// The services that the selector is about.
    pub(crate) fn match_names(&self) -> matching::Names {
        let mut wanted = matching::Names::default();
        match &self.names {
            Names::Services(names) => {
                wanted.services = names.iter().map(ServiceName::to_string).collect();
            }
            Names::Prefix { namespace, prefix } => {
                wanted.namespace.clone_from(namespace);
                wanted.prefix.clone_from(prefix);
            }
        }
        wanted
    }

    /// The selector without some of the services that it names.
    pub(crate) fn without(&self, drop: impl Fn(&ServiceName) -> bool) -> Selector {
        let mut rest = self.clone();
        if let Names::Services(names) = &mut rest.names {
            names.retain(|name| !drop(name));
        }
        rest
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// Finds what no server could accept.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.validate_names()
            .and_then(|()| {
                let object = format!("selector {self}");
                validate::version_range(&object, &self.filter.version_range)
            })
            // Rules that others share name theirs.
            .map_err(|e| e.about("select", self.to_string()))
    }

    fn validate_names(&self) -> Result<(), Error> {
        match &self.names {
            Names::Services(names) if names.is_empty() => Err(Error::new(
                Reason::InvalidArgument,
                "selector: no services; name at least one",
            )),
            Names::Services(names) => names.iter().try_for_each(|n| {
                let object = format!("selector {self}");
                validate::namespace(&object, &n.namespace)?;
                validate::service(&object, &n.service)
            }),
            Names::Prefix { namespace, prefix } if namespace.is_empty() => {
                if prefix.is_empty() {
                    return Ok(());
                }
                Err(Error::new(
                    Reason::InvalidArgument,
                    format!("selector: prefix \"{prefix}\" needs a namespace"),
                ))
            }
            Names::Prefix { namespace, .. } => {
                validate::namespace(&format!("selector {self}"), namespace)
            }
        }
    }

    /// The canonical form: equal selectors have equal bytes.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        self.to_wire().encode_to_vec()
    }

    pub(crate) fn to_wire(&self) -> v1::Selector {
        v1::Selector {
            names: Some(match &self.names {
                Names::Services(names) => v1::selector::Names::Services(v1::ServiceNames {
                    names: names
                        .iter()
                        .map(|n| v1::ServiceName {
                            namespace: n.namespace.clone(),
                            service: n.service.clone(),
                        })
                        .collect(),
                }),
                Names::Prefix { namespace, prefix } => {
                    v1::selector::Names::Prefix(v1::ServicePrefix {
                        namespace: namespace.clone(),
                        prefix: prefix.clone(),
                    })
                }
            }),
            filter: (self.filter != Filter::default()).then(|| self.filter.to_wire()),
        }
    }
}

impl Filter {
    fn to_wire(&self) -> v1::InstanceFilter {
        v1::InstanceFilter {
            version_range: self.version_range.clone(),
            metadata: self
                .metadata
                .iter()
                .map(|(key, values)| v1::MetadataMatch {
                    key: key.clone(),
                    values: values.clone(),
                })
                .collect(),
            capabilities: self.capabilities.clone(),
            shard: self.shard.as_ref().map(|s| v1::ShardMatch {
                kind: Some(match s {
                    ShardMatch::Key(key) => v1::shard_match::Kind::Key(key.clone().into()),
                    ShardMatch::Id(id) => v1::shard_match::Kind::ShardId(*id),
                }),
            }),
            healths: self.healths.iter().map(|h| h.to_wire()).collect(),
            lifecycles: self.lifecycles.iter().map(|l| l.to_wire()).collect(),
            regions: self.regions.clone(),
            zones: self.zones.clone(),
            instance_ids: self.instance_ids.clone(),
            endpoint_names: self.endpoint_names.clone(),
        }
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

/// What texts call the selector: the service, a list of them, or `namespace/prefix*`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names {
            Names::Services(names) => {
                for (i, name) in names.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{name}")?;
                }
            }
            Names::Prefix { namespace, prefix } if namespace.is_empty() => {
                write!(f, "{prefix}*")?;
            }
            Names::Prefix { namespace, prefix } => write!(f, "{namespace}/{prefix}*")?,
        }
        if self.filter == Filter::default() {
            return Ok(());
        }
        f.write_str(" (filtered)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_selectors_have_one_form() {
        let n = ServiceName::new;
        let a = Selector::services([n("a", "x"), n("a", "b"), n("a", "x")])
            .capability("z")
            .capability("y")
            .metadata("k", ["2", "1", "2"])
            .zones(["b", "a"]);
        let b = Selector::services([n("a", "b"), n("a", "x")])
            .zones(["a", "b", "b"])
            .metadata("k", ["1", "2"])
            .capability("y")
            .capability("z");
        assert_eq!(a.canonical(), b.canonical());
        assert_ne!(
            a.canonical(),
            b.shard_id(1).canonical(),
            "another filter is another selector"
        );
    }

    #[test]
    fn selector_rules() {
        for (selector, ok) in [
            (Selector::service("shop", "pay"), true),
            (Selector::prefix("", ""), true),
            (Selector::prefix("shop", ""), true),
            (Selector::prefix("", "p"), false),
            (Selector::services([]), false),
            (Selector::service("Shop", "pay"), false),
            (Selector::prefix("Shop", ""), false),
            (
                Selector::service("shop", "pay").version_range("latest"),
                false,
            ),
        ] {
            let result = selector.validate();
            assert_eq!(result.is_ok(), ok, "{selector}");
            if let Err(e) = result {
                let named = selector.to_string();
                assert_eq!((e.op(), e.subject()), ("select", named.as_str()));
            }
        }
        assert_eq!(
            Selector::prefix("shop", "p").zones(["a"]).to_string(),
            "shop/p* (filtered)"
        );
    }
}
