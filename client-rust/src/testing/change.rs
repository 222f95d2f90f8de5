//! Updates of one instance.

use muster_proto::v1;

use super::check;
use super::core::Core;
use super::fault::Fault;
use super::state::{EntryName, owned};
use tokio::time::Instant;

impl Core {
    /// Changes fields of one instance.
    pub(super) fn update(
        &mut self,
        request: v1::UpdateRequest,
        now: Instant,
    ) -> Result<v1::UpdateResponse, Fault> {
        let from = request.instance.unwrap_or_default();
        let name = EntryName::of(&from);
        self.held(&request.lease_id, &name)?;
        if let Some(present) = self.state.instances.get(&name) {
            let paths = request.update_mask.unwrap_or_default().paths;
            let next = updated(owned(present), &from, &paths)?;
            self.rewrite(next, &request.lease_id, now);
        }
        Ok(v1::UpdateResponse {
            epoch: self.state.epoch,
            revision: self.state.revision,
        })
    }
}

/// An instance after an update, which it checks.
fn updated(
    mut i: v1::Instance,
    from: &v1::Instance,
    paths: &[String],
) -> Result<v1::Instance, Fault> {
    if paths.is_empty() {
        return Err(Fault::invalid("update_mask: must name at least one field"));
    }
    let lifecycle = i.lifecycle;
    let keeps_lifecycle = !paths.iter().any(|p| p == "lifecycle");
    if keeps_lifecycle {
        i.lifecycle = v1::Lifecycle::Serving as i32; // what it is now was checked before
    }
    for path in paths {
        set_field(&mut i, from, path)?;
    }
    let mut next = check::instance(&i)?;
    if keeps_lifecycle {
        next.lifecycle = lifecycle;
    }
    Ok(next)
}

/// Takes one field over, whole.
fn set_field(i: &mut v1::Instance, from: &v1::Instance, path: &str) -> Result<(), Fault> {
    match path {
        "version" => i.version.clone_from(&from.version),
        "endpoints" => i.endpoints.clone_from(&from.endpoints),
        "locality" => i.locality.clone_from(&from.locality),
        "weight" => i.weight = from.weight,
        "lifecycle" => i.lifecycle = from.lifecycle,
        "shard" => i.shard.clone_from(&from.shard),
        "metadata" => i.metadata.clone_from(&from.metadata),
        "capabilities" => i.capabilities.clone_from(&from.capabilities),
        "schema_version" => i.schema_version = from.schema_version,
        "checks" => i.checks.clone_from(&from.checks),
        "self_health" => i.self_health.clone_from(&from.self_health),
        _ => {
            return Err(Fault::invalid(format!(
                "update_mask: {path:?} is no field that may be updated"
            )));
        }
    }
    Ok(())
}
