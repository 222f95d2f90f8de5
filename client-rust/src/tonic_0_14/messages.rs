//! Texts that users of channels read. They are equal in the Go client.

use muster_rules::plan::Why;
use muster_rules::quote::quote;

use crate::kinds::Position;

/// How texts tell of the steps of a plan that leave instances out, in this order.
const LEFT_OUT: [(Why, &str); 9] = [
    (Why::Draining, "draining"),
    (Why::Starting, "starting"),
    (Why::Weightless, "of weight 0"),
    (Why::NoEndpoint, "without a gRPC endpoint"),
    (Why::VersionShare, "of a version without a share"),
    (Why::Locality, "too far away"),
    (Why::Subset, "for other clients"),
    (Why::Unhealthy, "unhealthy"),
    (Why::Ejected, "ejected after failed calls"),
];

/// A target that cannot be read.
pub(crate) fn target(target: &str, problem: &str) -> String {
    let target = quote(target);
    format!("target {target}: {problem}; use muster:///namespace/service")
}

/// There are instances, and none is picked.
pub(crate) fn none_serves(service: &str, steps: &[Why]) -> String {
    let noun = plural(steps.len(), "instance");
    let parts: Vec<_> = LEFT_OUT
        .iter()
        .map(|(why, what)| (steps.iter().filter(|step| *step == why).count(), what))
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let parts = parts.join(", ");
    format!("{service} has {noun}, none takes requests: {parts}")
}

/// The instance that a request wants is not there.
pub(crate) fn no_instance(service: &str, id: &str, at: Position) -> String {
    format!("{service} has no instance {} ({at})", quote(id))
}

/// The instance that a request wants takes none.
pub(crate) fn not_called(service: &str, id: &str, step: Why) -> String {
    let id = quote(id);
    match LEFT_OUT.iter().find(|(why, _)| *why == step) {
        Some((_, what)) => {
            format!("instance {id} of {service} takes no requests: it is {what}")
        }
        None => {
            let step = step.as_str();
            format!("instance {id} of {service} takes no requests: {step}")
        }
    }
}

/// The instance that a request wants is not connected.
pub(crate) fn instance_away(service: &str, id: &str, address: &str, cause: &str) -> String {
    let id = quote(id);
    format!("instance {id} of {service} cannot be reached: {address}: {cause}; still retrying")
}

/// No endpoint is connected; this one failed last.
pub(crate) fn no_ready_endpoint(service: &str, slots: usize, address: &str, cause: &str) -> String {
    let noun = plural(slots, "endpoint");
    format!("none of {noun} of {service} can be reached: {address}: {cause}; still retrying")
}

/// Too few instances are healthy.
pub(crate) fn panic(service: &str, healthy: usize, total: usize) -> String {
    format!(
        "{healthy} of {total} instances of {service} are healthy, too few: health is ignored until more are"
    )
}

fn plural(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}
