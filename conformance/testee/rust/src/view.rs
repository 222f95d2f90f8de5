//! How views and instances are told of.

use std::sync::Arc;

use muster_client::{Instance, Removal, ServiceName, Source, View};
use serde_json::{Map, Value, json};

use crate::command::millis;

/// What is told of a view, without its instances. `service` is the only one of its selector.
pub(crate) fn fields(view: &View, service: Option<&ServiceName>) -> Value {
    let at = view.position();
    let mut fields = json!({
        "intent": view.intent().as_str(),
        "count": view.instances().len(),
        "unverified": view.is_unverified(),
        "isolated": view.is_isolated(),
        "about": {
            "epoch": at.epoch.to_string(),
            "revision": at.revision.to_string(),
            "digest": view.digest().to_string(),
            "age_ms": millis(view.age()),
            "freshness": view.freshness().as_str(),
            // May change between a frame and its telling.
            "source": source(view.source()),
        },
    });
    if let Some(e) = service.and_then(|name| view.why(name)) {
        fields["why"] = e.reason().as_str().into();
        fields["about"]["text"] = e.to_string().into();
    }
    fields
}

fn source(source: Source) -> String {
    // The names of the contract, which Debug happens to write in another case.
    format!("{source:?}").to_uppercase()
}

/// A view with all its instances.
pub(crate) fn whole(view: &View, service: Option<&ServiceName>) -> Value {
    let mut fields = fields(view, service);
    fields["instances"] = instances(view.instances());
    fields
}

pub(crate) fn instances(list: &[Arc<Instance>]) -> Value {
    list.iter().map(|i| instance(i)).collect()
}

fn instance(i: &Instance) -> Value {
    let endpoints: Map<String, Value> = i
        .endpoints
        .iter()
        .map(|e| {
            let fields = json!({
                "address": e.address,
                "protocol": e.protocol.as_str(),
                "security": e.security.as_str(),
                "server_name": e.server_name,
                "authority": e.authority,
            });
            (e.name.clone(), fields)
        })
        .collect();
    json!({
        "key": i.key.to_string(),
        "version": i.version,
        "weight": i.weight.to_string(),
        "zone": i.locality.zone,
        "region": i.locality.region,
        "lifecycle": i.lifecycle.as_str(),
        "health": i.health.as_str(),
        "metadata": i.metadata,
        "capabilities": i.capabilities,
        "unconfirmed": i.unconfirmed,
        "endpoints": endpoints,
        "about": {
            "incarnation": i.incarnation.to_string(),
            "modify_revision": i.modify_revision.to_string(),
        },
    })
}

pub(crate) fn removals(list: &[Removal]) -> Value {
    list.iter()
        .map(|r| json!({ "key": r.key.to_string(), "reason": r.reason.as_str() }))
        .collect()
}
