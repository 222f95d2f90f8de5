//! Services whose instances were given to the client: the registry is never asked for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Reason};
use crate::freshness::Timing;
use crate::instance::{Instance, ServiceName, ServiceState};
use crate::kinds::SnapshotCause;
use crate::messages;
use crate::selector::{Names, Selector};
use crate::spec::InstanceSpec;
use crate::validate;
use crate::view::{Source, View};

/// What was given to a client.
#[derive(Debug, Default)]
pub(crate) struct FixedServices {
    /// There is no registry, so every service is fixed.
    pub(crate) all: bool,
    instances: BTreeMap<ServiceName, Vec<Arc<Instance>>>,
    /// Services whose use was logged.
    told: Mutex<BTreeSet<ServiceName>>,
}

impl FixedServices {
    /// Checks what was given. An instance without id gets one by its place: `static-1`.
    pub(crate) fn new(specs: Vec<InstanceSpec>, all: bool) -> Result<FixedServices, Error> {
        let mut instances: BTreeMap<ServiceName, Vec<Arc<Instance>>> = BTreeMap::new();
        for mut spec in specs {
            let name = spec.service_name();
            let given = instances.entry(name.clone()).or_default();
            if spec.instance_id.is_empty() {
                spec.instance_id = format!("static-{}", given.len() + 1);
            }
            validate::instance(&spec)?;
            if given.iter().any(|i| i.key == spec.key()) {
                let object = name.to_string();
                let id = &spec.instance_id;
                let text = messages::invalid(&object, "instance_id", id, "each once");
                return Err(Error::new(Reason::InvalidArgument, text).about("new", object));
            }
            let mut wire = spec.to_wire();
            wire.health = spec.health.to_wire();
            given.push(Arc::new(Instance::from_wire(wire)));
            given.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(FixedServices {
            all,
            instances,
            told: Mutex::default(),
        })
    }

    /// Divides a selector into what is fixed and what the registry is to be asked for; none for
    /// nothing.
    pub(crate) fn split(&self, selector: &Selector) -> (Option<FixedPart>, Option<Selector>) {
        let mut part = FixedPart::default();
        let wanted = selector.match_names();
        for (name, instances) in &self.instances {
            if wanted.matches(&name.namespace, &name.service) {
                self.tell(name, instances);
                part.instances.extend(instances.iter().cloned());
                part.services.push(Arc::new(ServiceState::given(name)));
            }
        }
        if self.all {
            return (Some(part), None);
        }
        if part.services.is_empty() {
            return (None, Some(selector.clone()));
        }
        let rest = selector.without(|name| self.instances.contains_key(name));
        let empty = matches!(rest.names(), Names::Services(names) if names.is_empty());
        (Some(part), (!empty).then_some(rest))
    }

    /// Warns once of each service that a client with a registry does not ask for: forgotten
    /// overrides are hard to find otherwise.
    fn tell(&self, name: &ServiceName, instances: &[Arc<Instance>]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if self.all || !told.insert(name.clone()) {
            return;
        }
        let addresses = instances.iter().filter_map(|i| i.endpoints.first());
        let addresses: Vec<&str> = addresses.map(|e| e.address.as_str()).collect();
        let text = messages::overridden(&name.to_string(), &addresses);
        tracing::warn!("{text}");
    }
}

/// What of a selector is fixed, sorted.
#[derive(Debug, Default)]
pub(crate) struct FixedPart {
    instances: Vec<Arc<Instance>>,
    services: Vec<Arc<ServiceState>>,
}

impl FixedPart {
    fn has(&self, name: &ServiceName) -> bool {
        self.services.binary_search_by(|s| s.name.cmp(name)).is_ok()
    }

    /// Puts the fixed part into a view of the rest, in place of whatever the registry has of these
    /// services.
    pub(crate) fn add_to(&self, v: &mut View) {
        let rest = v.instances.iter().filter(|i| !self.has(&i.service_name()));
        let mut instances: Vec<_> = rest.chain(&self.instances).cloned().collect();
        instances.sort_by(|a, b| a.key.cmp(&b.key));
        v.instances = instances.into();
        let rest = v.services.iter().filter(|s| !self.has(&s.name));
        let mut services: Vec<_> = rest.chain(&self.services).cloned().collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        v.services = services.into();
        let rest = v.forbidden.iter().filter(|name| !self.has(name));
        v.forbidden = rest.cloned().collect();
    }

    /// Makes an empty view that of a selector of which everything is fixed.
    pub(crate) fn show_alone(&self, v: &mut View) {
        v.timing = Some(Timing {
            received_ms: v.clock.now_ms(),
            age_then_ms: 0,
        });
        v.source = Source::Static;
        v.instances = self.instances.as_slice().into();
        v.services = self.services.as_slice().into();
        v.snapshots = 1;
        v.last_cause = SnapshotCause::First;
    }
}

/// For what a client without a registry cannot do.
pub(crate) fn no_registry(op: &str, subject: &str) -> Error {
    let text = messages::no_registry(op, subject);
    Error::new(Reason::FeatureNotServed, text)
}
