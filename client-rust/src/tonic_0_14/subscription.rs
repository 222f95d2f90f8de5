//! From the views of a subscription to the sets of endpoints that a channel uses, and back: what
//! the channel has applied is what drains may count on.

use std::sync::Arc;

use tokio::sync::watch;

use crate::client::Client;
use crate::error::{Error, Reason};
use crate::instance::{self, Instance, ServiceName};
use crate::kinds::{self, Health, Lifecycle, Security};
use crate::messages;
use crate::selector::Selector;
use crate::subscription::Subscription;
use crate::view::View;

use super::channel::{Channel, ChannelOptions};
use super::endpoint::{Absence, Endpoint, EndpointKey, EndpointSet, Protocol};

/// Below this share of healthy instances, health is taken for a mistake and ignored: the healthy
/// ones could not carry the load of all.
const PANIC_PERCENT: usize = 50;

impl Channel {
    /// Makes a channel to the instances of a service, `namespace/service` or
    /// `muster:///namespace/service`, with default options.
    ///
    /// The channel outlives neither its client's tasks nor their knowledge: when the client is
    /// closed, the last known instances stay in use.
    ///
    /// # Errors
    /// Those of [`Channel::with_options`].
    pub fn new(client: &Client, target: &str) -> Result<Self, Error> {
        Self::with_options(client, target, ChannelOptions::default())
    }

    /// Makes a channel to the instances of a service. Does no I/O: calls wait for the first view.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the target or the authority is wrong, or if this is not called within
    /// a tokio runtime; `CLOSED` if the client is.
    pub fn with_options(
        client: &Client,
        target: &str,
        options: ChannelOptions,
    ) -> Result<Self, Error> {
        let service = service(target)?;
        let selector = Selector::service(&service.namespace, &service.service);
        let subscription = client.subscribe(selector)?;
        let sets = watch::Sender::new(Arc::new(EndpointSet::unknown()));
        let endpoint = options.endpoint.clone();
        let name = service.to_string();
        let channel = Self::from_source(&name, sets.subscribe(), options)?;
        let feeder = Feeder {
            subscription,
            service,
            endpoint,
            sets,
            applied: channel.applied(),
        };
        if client.shared().spawn(feeder.run()) {
            return Ok(channel);
        }
        Err(client.shared().closed_error())
    }
}

/// The service that a target names.
fn service(target: &str) -> Result<ServiceName, Error> {
    let path = target.strip_prefix("muster:///").unwrap_or(target);
    match path.split_once('/') {
        Some((namespace, service))
            if !namespace.is_empty() && !service.is_empty() && !service.contains('/') =>
        {
            Ok(ServiceName::new(namespace, service))
        }
        _ => Err(Error::new(
            Reason::InvalidArgument,
            messages::invalid(
                "channel",
                "target",
                target,
                "use namespace/service or muster:///namespace/service",
            ),
        )),
    }
}

/// Keeps a channel's set of endpoints as its subscription's view has it. Ends with the channel or
/// the client.
struct Feeder {
    subscription: Subscription,
    service: ServiceName,
    /// The name of the endpoint to dial.
    endpoint: Option<String>,
    sets: watch::Sender<Arc<EndpointSet>>,
    applied: watch::Receiver<u64>,
}

impl Feeder {
    async fn run(mut self) {
        let picker = self.subscription.add_picker();
        let mut generation = 0;
        loop {
            let view = self.subscription.view();
            if view.is_received() {
                generation += 1;
                let set = set(&view, &self.service, self.endpoint.as_deref(), generation);
                self.sets.send_replace(Arc::new(set));
                tokio::select! {
                    () = self.sets.closed() => return,
                    applied = self.applied.wait_for(|&now| now >= generation) => {
                        if applied.is_err() {
                            return;
                        }
                    }
                }
                picker.applied(&view);
            }
            tokio::select! {
                () = self.sets.closed() => return,
                changed = self.subscription.changed() => if let Err(error) = changed {
                    self.ended(&error, generation);
                    return;
                }
            }
        }
    }

    /// The subscription's end is the answer to calls if there never was another.
    fn ended(&self, error: &Error, generation: u64) {
        if generation > 0 {
            return;
        }
        let set = EndpointSet {
            generation: 1,
            endpoints: Vec::new(),
            absence: Some(absence(error)),
        };
        self.sets.send_replace(Arc::new(set));
    }
}

fn absence(error: &Error) -> Absence {
    Absence {
        reason: error.reason(),
        text: error.message().to_owned(),
    }
}

/// The endpoints of a service's instances in a view. Those that take no new requests have weight 0.
fn set(view: &View, service: &ServiceName, name: Option<&str>, generation: u64) -> EndpointSet {
    let instances = view.instances_of(service);
    let mut set = EndpointSet::new(generation, endpoints(instances, name));
    if set.endpoints.is_empty() {
        set.absence = view.why(service).as_ref().map(absence).or_else(|| {
            let why = match name {
                Some(name) => format!("none of {} has a gRPC endpoint {name:?}", instances.len()),
                None => format!("none of {} has a gRPC endpoint", instances.len()),
            };
            Some(Absence {
                reason: Reason::NoInstances,
                text: messages::no_instances(&service.to_string(), &why),
            })
        });
    }
    set
}

fn endpoints(instances: &[Arc<Instance>], name: Option<&str>) -> Vec<Endpoint> {
    let serving = instances.iter().filter(|instance| serves(instance));
    let healthy = serving.clone().filter(|instance| is_healthy(instance));
    let panic = healthy.count() * 100 < serving.count() * PANIC_PERCENT;
    instances
        .iter()
        .filter_map(|instance| {
            let taken = serves(instance) && (panic || is_healthy(instance));
            let weight = if taken { instance.weight } else { 0 };
            Some(dialled(chosen(instance, name)?, instance, weight))
        })
        .collect()
}

fn serves(instance: &Instance) -> bool {
    instance.lifecycle == Lifecycle::Serving && instance.weight > 0
}

fn is_healthy(instance: &Instance) -> bool {
    instance.health != Health::Unhealthy
}

/// The endpoint to dial of an instance's.
fn chosen<'a>(instance: &'a Instance, name: Option<&str>) -> Option<&'a instance::Endpoint> {
    let grpc = instance
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.protocol == kinds::Protocol::Grpc);
    match name {
        Some(name) => grpc.clone().find(|endpoint| endpoint.name == name),
        None => grpc.min_by_key(|endpoint| (endpoint.name != "grpc", &endpoint.name)),
    }
}

fn dialled(endpoint: &instance::Endpoint, instance: &Instance, weight: u32) -> Endpoint {
    let named = |text: &str| (!text.is_empty()).then(|| text.into());
    Endpoint {
        key: EndpointKey {
            protocol: match endpoint.security {
                Security::Tls | Security::MutualTls => Protocol::H2Tls,
                _ => Protocol::H2c,
            },
            address: endpoint.address.as_str().into(),
            server_name: named(&endpoint.server_name),
        },
        weight,
        create_revision: instance.incarnation,
        authority: named(&endpoint.authority),
    }
}

#[cfg(test)]
#[path = "subscription_tests.rs"]
mod tests;
