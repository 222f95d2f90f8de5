//! From the views of a subscription to the sets of endpoints that a channel uses, and back: what
//! the channel has applied is what drains may count on.

use std::sync::Arc;

use muster_rules::target::Target;
use tokio::sync::watch;

use crate::client::Client;
use crate::error::{Error, Reason};
use crate::instance::{self, Instance, ServiceName};
use crate::kinds::{self, Security};
use crate::selector::Selector;
use crate::subscription::Subscription;
use crate::view::View;

use super::channel::{Channel, ChannelOptions, Who};
use super::endpoint::{Absence, Endpoint, EndpointKey, EndpointSet, Protocol};
use super::messages;

impl Channel {
    /// Makes a channel to the instances of a service, `muster:///namespace/service`, with default
    /// options. `?endpoint=NAME` chooses one of several endpoints.
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
        let (service, named) = parsed(target)?;
        let endpoint = options.endpoint.clone().or(named);
        let selector = Selector::service(&service.namespace, &service.service);
        let subscription = client.subscribe(selector)?;
        let sets = watch::Sender::new(Arc::new(EndpointSet::unknown()));
        let who = Who {
            locality: client.locality().clone(),
            client_id: client.id(),
            telemetry: Arc::clone(&client.shared().config.telemetry),
        };
        let name = service.to_string();
        let channel = Self::open(&name, sets.subscribe(), options, who)?;
        client.shared().opened(channel.explained());
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

/// The service that a target names, and the endpoint if it names one.
pub(crate) fn parsed(target: &str) -> Result<(ServiceName, Option<String>), Error> {
    let parsed = Target::parse(target).map_err(|problem| {
        let text = messages::target(target, &problem);
        Error::new(Reason::InvalidArgument, text)
    })?;
    let service = ServiceName::new(parsed.namespace, parsed.service);
    let endpoint = (!parsed.endpoint.is_empty()).then_some(parsed.endpoint);
    Ok((service, endpoint))
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
            absence: Some(absence(error)),
            ..EndpointSet::default()
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

/// The instances of a service in a view, with the endpoints to dial.
pub(crate) fn set(
    view: &View,
    service: &ServiceName,
    name: Option<&str>,
    generation: u64,
) -> EndpointSet {
    let instances = view.instances_of(service);
    let endpoints = instances.iter().map(|i| endpoint(i, name)).collect();
    let mut set = EndpointSet::new(generation, endpoints);
    set.position = view.position();
    if let Some(policy) = view.service(service).and_then(|s| s.policy.clone()) {
        set.policy = policy;
    }
    if set.endpoints.is_empty() {
        set.absence = view.why(service).as_ref().map(absence);
    }
    set
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

fn endpoint(instance: &Instance, name: Option<&str>) -> Endpoint {
    let key = chosen(instance, name).map_or_else(|| EndpointKey::plaintext(""), key);
    Endpoint {
        key,
        instance: instance.key.instance_id.as_str().into(),
        weight: instance.weight,
        lifecycle: instance.lifecycle,
        health: instance.health,
        version: instance.version.as_str().into(),
        region: instance.locality.region.as_str().into(),
        zone: instance.locality.zone.as_str().into(),
        generation: instance.create_revision.max(instance.incarnation),
    }
}

fn key(endpoint: &instance::Endpoint) -> EndpointKey {
    let named = |text: &str| (!text.is_empty()).then(|| text.into());
    EndpointKey {
        protocol: match endpoint.security {
            Security::Tls => Protocol::H2Tls,
            Security::MutualTls => Protocol::H2MutualTls,
            _ => Protocol::H2c,
        },
        address: endpoint.address.as_str().into(),
        server_name: named(&endpoint.server_name),
        authority: named(&endpoint.authority),
    }
}

#[cfg(test)]
#[path = "subscription_tests.rs"]
mod tests;
