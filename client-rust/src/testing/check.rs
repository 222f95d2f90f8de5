//! The bounds of docs/protocol.md, section 11, that the client does not check for its user.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::ErrorReason;

use super::fault::Fault;
use super::state::EntryName;
use crate::instance::{Instance, duration_from_wire, duration_to_wire};
use crate::kinds::Health;
use crate::spec::{EndpointSpec, InstanceSpec};
use crate::validate;

pub(super) const DEFAULT_TTL: Duration = Duration::from_secs(15);
const MIN_TTL: Duration = Duration::from_secs(1);
const MAX_TTL: Duration = Duration::from_secs(3_600);
pub(super) const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const MAX_DRAIN_TIMEOUT: Duration = Duration::from_secs(600);
pub(super) const DEFAULT_PAGE_SIZE: usize = 100;
pub(super) const MAX_PAGE_SIZE: usize = 1_000;

pub(super) const MAX_INSTANCES_PER_LEASE: u32 = 40;
pub(super) const MAX_SUBSCRIPTIONS: u32 = 1_000;
pub(super) const MAX_SERVICES_PER_SELECTOR: u32 = 1_000;
pub(super) const MAX_LOOKUP_INSTANCES: u32 = 10_000;
pub(super) const MAX_LEASES_PER_KEEPALIVE: u32 = 1_024;

pub(super) fn limits() -> v1::Limits {
    v1::Limits {
        subscriptions_per_stream: MAX_SUBSCRIPTIONS,
        services_per_selector: MAX_SERVICES_PER_SELECTOR,
        instances_per_lease: MAX_INSTANCES_PER_LEASE,
        lookup_instances: MAX_LOOKUP_INSTANCES,
        request_bytes: 4 << 20,
        instance_bytes: 64 << 10,
        min_ttl: Some(duration_to_wire(MIN_TTL)),
        max_ttl: Some(duration_to_wire(MAX_TTL)),
        streams_per_connection: 100,
        leases_per_keepalive: MAX_LEASES_PER_KEEPALIVE,
    }
}

/// Checks a request, and gives its instances in the form in which they are stored, and the TTL.
pub(super) fn register(
    request: &v1::RegisterRequest,
) -> Result<(Vec<v1::Instance>, Duration), Fault> {
    let ttl = duration("ttl", request.ttl.as_ref(), DEFAULT_TTL, MIN_TTL, MAX_TTL)?;
    let id = &request.request_id;
    if !(16..=64).contains(&id.len()) || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    {
        return Err(Fault::invalid(format!(
            "request_id: {id:?} must be 16 to 64 of a-z, A-Z, 0-9 and '-'"
        )));
    }
    if request.instances.is_empty() {
        return Err(Fault::invalid("instances: must hold at least one instance"));
    }
    at_most(
        "instances_per_lease",
        MAX_INSTANCES_PER_LEASE,
        request.instances.len(),
    )?;
    let mut names = BTreeSet::new();
    let mut instances = Vec::new();
    for given in &request.instances {
        let i = instance(given)?;
        let name = EntryName::of(&i);
        if !names.insert(name.clone()) {
            return Err(Fault::invalid(format!(
                "instances: {name} is in the request twice; name each instance once"
            )));
        }
        instances.push(i);
    }
    Ok((instances, ttl))
}

/// Checks an instance, and gives it in the form in which it is stored.
pub(super) fn instance(given: &v1::Instance) -> Result<v1::Instance, Fault> {
    if !given.checks.is_empty() {
        return Err(Fault::not_served("checks"));
    }
    normalised(&spec_of(given))
}

/// An instance as registries store it: whole, checked, its sets sorted.
pub(super) fn normalised(spec: &InstanceSpec) -> Result<v1::Instance, Fault> {
    validate::instance(spec)?;
    let mut i = spec.to_wire();
    i.endpoints.sort_by(|a, b| a.name.cmp(&b.name));
    i.capabilities.sort();
    well(&mut i);
    Ok(i)
}

/// Brings being well into its one form: nothing said.
pub(super) fn well(i: &mut v1::Instance) {
    if (i.self_health.as_ref()).is_some_and(|s| s.health <= v1::Health::Healthy as i32) {
        i.self_health = None;
    }
}

/// What the owner of an instance says of it.
fn spec_of(given: &v1::Instance) -> InstanceSpec {
    let said = given.self_health.clone().unwrap_or_default();
    let i = Instance::from_wire(given.clone());
    let mut spec = InstanceSpec::new(i.key.namespace, i.key.service)
        .id(i.key.instance_id)
        .version(i.version)
        .locality(i.locality.region, i.locality.zone)
        .weight(i.weight)
        .lifecycle(i.lifecycle)
        .health(Health::from_wire(said.health), said.reason);
    spec.shard = i.shard;
    spec.metadata = i.metadata;
    spec.capabilities = i.capabilities;
    spec.schema_version = i.schema_version;
    for e in i.endpoints {
        let endpoint = EndpointSpec::new(e.name, e.address)
            .protocol(e.protocol)
            .security(e.security)
            .server_name(e.server_name)
            .authority(e.authority);
        spec = spec.endpoint(endpoint);
    }
    spec
}

/// Reads a duration in whole milliseconds, within bounds.
pub(super) fn duration(
    field: &str,
    given: Option<&prost_types::Duration>,
    unset: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, Fault> {
    if given.is_none() {
        return Ok(unset);
    }
    duration_from_wire(given)
        .filter(|d| *d >= least && *d <= most && d.subsec_nanos() % 1_000_000 == 0)
        .ok_or_else(|| {
            Fault::invalid(format!(
                "{field}: must be {least:?} to {most:?} in whole milliseconds"
            ))
        })
}

/// Checks a limit.
pub(super) fn at_most(limit: &'static str, maximum: u32, value: usize) -> Result<(), Fault> {
    if value <= maximum as usize {
        return Ok(());
    }
    Err(
        Fault::new(ErrorReason::LimitExceeded, format!("{limit} is exceeded"))
            .with("limit", limit)
            .with("maximum", maximum)
            .with("value", value),
    )
}
