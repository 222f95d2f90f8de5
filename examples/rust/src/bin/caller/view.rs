//! Telling what changes in the view.

use std::collections::BTreeMap;

use muster_client::{Instance, RemovalReason, Update, Updates, View};
use muster_examples::jsonl;
use serde_json::{Value, json};
use tokio_stream::StreamExt;

use crate::BoxError;
use crate::signals::Shutdown;

/// What is told of an instance, by its id.
type Told = BTreeMap<String, Value>;

/// Writes every update of the subscription until the program ends.
pub(crate) async fn watch(mut updates: Updates, shutdown: Shutdown) -> Result<(), BoxError> {
    let mut told = Told::new();
    let mut end = std::pin::pin!(shutdown.wait());
    loop {
        let update = tokio::select! {
            () = &mut end => return Ok(()),
            update = updates.next() => update,
        };
        match update {
            None => return Ok(()),
            Some(update) => tell(&update?, &mut told),
        }
    }
}

fn tell(update: &Update, told: &mut Told) {
    match update {
        Update::Snapshot { cause, view, .. } => {
            tell_view("SNAPSHOT", cause.as_str(), view);
            tell_instances(view, |_| RemovalReason::SnapshotAbsent, told);
        }
        Update::Delta { removed, view, .. } => {
            tell_view("DELTA", "", view);
            let reason = |id: &str| {
                let gone = removed.iter().find(|r| r.key.instance_id == id);
                gone.map_or(RemovalReason::Unknown, |r| r.reason)
            };
            tell_instances(view, reason, told);
        }
        Update::Freshness { from, to, .. } => {
            jsonl::write(
                "freshness",
                &json!({ "from": from.as_str(), "to": to.as_str() }),
            );
        }
        _ => {}
    }
}

fn tell_view(update: &str, cause: &str, view: &View) {
    let position = view.position();
    jsonl::write(
        "view",
        &json!({
            "update": update,
            "cause": cause,
            "epoch": position.epoch,
            "revision": position.revision,
            "instances": view.instances().len(),
        }),
    );
}

/// Writes what differs from what was told before.
fn tell_instances(view: &View, reason: impl Fn(&str) -> RemovalReason, told: &mut Told) {
    let mut now = Told::new();
    for instance in view.instances() {
        let id = instance.key.instance_id.clone();
        let fields = describe(instance);
        let change = match told.get(&id) {
            Some(before) if *before == fields => None,
            Some(before) if began_to_drain(before, &fields) => Some("draining"),
            Some(_) => Some("changed"),
            None => Some("appeared"),
        };
        if let Some(change) = change {
            tell_instance(change, &id, fields.clone());
        }
        now.insert(id, fields);
    }
    for id in told.keys().filter(|id| !now.contains_key(*id)) {
        let fields = json!({ "reason": reason(id).as_str() });
        tell_instance("disappeared", id, fields);
    }
    *told = now;
}

fn tell_instance(change: &str, id: &str, mut fields: Value) {
    fields["change"] = json!(change);
    fields["id"] = json!(id);
    jsonl::write("instance", &fields);
}

fn describe(instance: &Instance) -> Value {
    json!({
        "version": instance.version,
        "lifecycle": instance.lifecycle.as_str(),
        "health": instance.health.as_str(),
        "incarnation": instance.incarnation,
    })
}

fn began_to_drain(before: &Value, now: &Value) -> bool {
    now["lifecycle"] == "DRAINING" && before["lifecycle"] != "DRAINING"
}
