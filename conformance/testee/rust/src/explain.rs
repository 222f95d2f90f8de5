//! Why a channel picks which instances.

use muster_client::tonic_0_14::{InstanceExplanation, Phase};
use serde_json::{Value, json};

use crate::command::{Answer, Command};
use crate::say;
use crate::testee::Testee;

impl Testee {
    /// `explain NAME`. It is a look at a moment, so that nearly all of it is under `about`.
    pub(crate) fn explain(&self, c: &Command) -> Answer {
        let e = self.wire(c)?.explain_pick();
        let instances: Vec<_> = e.instances.iter().map(|i| told(&e.service, i)).collect();
        Ok(json!({
            "service": e.service,
            "instances": instances,
            "about": {
                "panicking": e.panicking,
                "healthy": e.healthy,
                "total": e.total,
                "error": e.error.as_ref().map(say::error),
                "text": e.to_string(),
            },
        }))
    }
}

fn told(service: &str, i: &InstanceExplanation) -> Value {
    json!({
        "key": format!("{service}/{}", i.id),
        "about": {
            "address": i.address,
            "step": i.step,
            "weight": i.weight.to_string(),
            "state": i.state.map(|phase| match phase {
                Phase::Idle => "IDLE",
                Phase::Connecting => "CONNECTING",
                Phase::Ready => "READY",
                Phase::Backoff => "BACKOFF",
            }),
            "in_flight": i.in_flight.to_string(),
            "failed": !i.failure.is_empty(),
            "failure": i.failure,
        },
    })
}
