//! Commands about registrations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_client::{
    EndpointSpec, Health, InstanceSpec, Lifecycle, Registration, RegistrationStatus,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::command::{Answer, Command, Failure, millis, named, number};
use crate::say;
use crate::testee::Testee;

/// The address of an instance that nobody is to call.
const DEFAULT_ADDRESS: &str = "10.0.0.1:8080";

/// How a server ends.
pub(crate) type Served = oneshot::Receiver<Result<(), Failure>>;

/// A handle, and for `serve` how to end it.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) registration: Registration,
    pub(crate) stop: CancellationToken,
    pub(crate) served: Arc<Mutex<Option<Served>>>,
}

/// What a command may say of an instance.
#[derive(Default)]
pub(crate) struct Said {
    address: Option<String>,
    endpoint: Option<String>,
    version: Option<String>,
    zone: String,
    region: String,
    weight: Option<u32>,
    capabilities: Vec<String>,
    lifecycle: Option<Lifecycle>,
    health: Option<Health>,
    why: String,
    metadata: BTreeMap<String, String>,
}

impl Said {
    pub(crate) fn read(c: &Command) -> Result<Said, Failure> {
        let mut said = Said::default();
        for (name, value) in &c.with {
            match name.as_str() {
                "address" => said.address = Some(value.clone()),
                "endpoint" => said.endpoint = Some(value.clone()),
                "version" => said.version = Some(value.clone()),
                "zone" => said.zone.clone_from(value),
                "region" => said.region.clone_from(value),
                "weight" => said.weight = Some(number(value)?),
                "capability" => said.capabilities = value.split(',').map(Into::into).collect(),
                "lifecycle" => said.lifecycle = Some(named(value, LIFECYCLES)?),
                "health" => said.health = Some(named(value, HEALTHS)?),
                "why" => said.why.clone_from(value),
                "timeout" => {}
                other => match other.strip_prefix("metadata.") {
                    Some(key) => drop(said.metadata.insert(key.into(), value.clone())),
                    None => return Err(c.unknown(other)),
                },
            }
        }
        Ok(said)
    }

    /// A spec of a key. Without id, `NAMESPACE/SERVICE`, the client draws one.
    pub(crate) fn spec(&self, key: &str, address: Option<&str>) -> InstanceSpec {
        let mut parts = key.splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        let mut spec = InstanceSpec::new(next(), next());
        let id = next();
        if !id.is_empty() {
            spec = spec.id(id);
        }
        let address = address.or(self.address.as_deref());
        let endpoint = self.endpoint.as_deref().unwrap_or("grpc");
        spec = spec.endpoint(EndpointSpec::new(
            endpoint,
            address.unwrap_or(DEFAULT_ADDRESS),
        ));
        if let Some(version) = &self.version {
            spec = spec.version(version);
        }
        if !(self.region.is_empty() && self.zone.is_empty()) {
            spec = spec.locality(&self.region, &self.zone);
        }
        if let Some(weight) = self.weight {
            spec = spec.weight(weight);
        }
        if let Some(lifecycle) = self.lifecycle {
            spec = spec.lifecycle(lifecycle);
        }
        if let Some(health) = self.health {
            spec = spec.health(health, &self.why);
        }
        for name in &self.capabilities {
            spec = spec.capability(name);
        }
        for (key, value) in &self.metadata {
            spec = spec.metadata(key, value);
        }
        spec
    }
}

pub(crate) const LIFECYCLES: &[Lifecycle] =
    &[Lifecycle::Starting, Lifecycle::Serving, Lifecycle::Draining];
pub(crate) const HEALTHS: &[Health] = &[Health::Healthy, Health::Degraded, Health::Unhealthy];

fn status(s: &RegistrationStatus) -> Value {
    let mut fields = json!({
        "state": s.state.as_str(),
        "about": { "text": s.reason, "incarnation": s.incarnation.to_string() },
    });
    if let Some(e) = &s.error {
        fields["error"] = say::error(e);
    }
    fields
}

/// Tells of every status until the last.
async fn tell(name: String, mut registration: Registration) {
    let mut now = registration.status();
    loop {
        say::event(&name, "status", status(&now));
        if now.state.is_final() {
            return;
        }
        now = registration.changed().await;
    }
}

impl Testee {
    /// `register NAME KEY... [weight=] [version=] [zone=] [region=] [lifecycle=] [health=] [why=]
    /// [address=] [metadata.KEY=] [timeout=]`. The channel `NAME` then shows its status.
    pub(crate) async fn register(&self, c: &Command) -> Answer {
        let client = self.client(c)?;
        c.arg(1, "NAMESPACE/SERVICE/ID")?;
        let said = Said::read(c)?;
        let specs: Vec<_> = c.args[1..].iter().map(|key| said.spec(key, None)).collect();
        let mut register = client.register(specs);
        if let Some(limit) = c.duration("timeout")? {
            register = register.timeout(limit);
        }
        self.keep(c.name(), register.await?, None);
        Ok(Value::Null)
    }

    /// Remembers a registration and tells of its status from now on. What is returned ends `serve`.
    pub(crate) fn keep(
        &self,
        name: &str,
        registration: Registration,
        served: Option<Served>,
    ) -> CancellationToken {
        let stop = CancellationToken::new();
        let kept = Kept {
            registration: registration.clone(),
            stop: stop.clone(),
            served: Arc::new(Mutex::new(served)),
        };
        self.held().registrations.insert(name.to_owned(), kept);
        self.tasks.spawn(tell(name.to_owned(), registration));
        stop
    }

    pub(crate) fn kept(&self, c: &Command) -> Result<Kept, Failure> {
        let held = self.held();
        match held.registrations.get(c.name()) {
            Some(kept) => Ok(kept.clone()),
            None => Err(c.missing("registration")),
        }
    }

    pub(crate) fn registration_now(&self, c: &Command) -> Answer {
        let registration = self.kept(c)?.registration;
        let s = registration.status();
        let keys: Vec<_> = registration
            .keys()
            .iter()
            .map(ToString::to_string)
            .collect();
        // The status may change at any time, so that it is not compared unless named.
        Ok(json!({
            "keys": keys.join(" "),
            "about": {
                "state": s.state.as_str(),
                "text": s.reason,
                "incarnation": s.incarnation.to_string(),
                "error": s.error.as_ref().map(say::error),
            },
        }))
    }

    /// `set NAME [health=] [why=] [weight=] [lifecycle=] [metadata.KEY=]`.
    pub(crate) fn set(&self, c: &Command) -> Answer {
        let registration = self.kept(c)?.registration;
        let said = Said::read(c)?;
        if let Some(health) = said.health {
            registration.set_health(health, &said.why);
        }
        if let Some(weight) = said.weight {
            registration.set_weight(weight);
        }
        if let Some(lifecycle) = said.lifecycle {
            registration.set_lifecycle(lifecycle);
        }
        if !said.metadata.is_empty() {
            registration.set_metadata(said.metadata);
        }
        Ok(Value::Null)
    }

    pub(crate) async fn flush(&self, c: &Command) -> Answer {
        let registration = self.kept(c)?.registration;
        let flushed = c.bounded(registration.flush()).await?;
        flushed.ok_or(Failure::Cancelled)??;
        Ok(Value::Null)
    }

    /// `drain NAME [wait=]`, the time that watchers get.
    pub(crate) async fn drain(&self, c: &Command) -> Answer {
        let wait = c.duration("wait")?.unwrap_or(Duration::from_secs(5));
        let report = self.kept(c)?.registration.drain(wait).await?;
        Ok(json!({
            "complete": report.complete,
            "confirmed": report.confirmed,
            "behind": report.behind,
            "unconfirmable": report.unconfirmable,
            "disconnected": report.disconnected,
            "about": {
                "text": report.to_string(),
                "safe_after_ms": millis(report.safe_after),
                "took_ms": millis(report.took),
            },
        }))
    }

    pub(crate) async fn deregister(&self, c: &Command) -> Answer {
        let registration = self.kept(c)?.registration;
        let deregistered = c.bounded(registration.deregister()).await?;
        deregistered.ok_or(Failure::Cancelled)??;
        Ok(Value::Null)
    }
}
