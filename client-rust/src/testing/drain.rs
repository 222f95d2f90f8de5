//! Drains: setting instances to DRAINING, and how the barriers stand.

use muster_proto::v1;
use muster_proto::v1::{DrainResult, ErrorReason};
use tokio::time::Instant;

use super::barrier::Drain;
use super::core::Core;
use super::fault::Fault;
use super::state::{EntryName, owned};
use crate::instance::duration_to_wire;

/// How many watchers a report names.
const MAX_BEHIND: usize = 20;

/// How drains stand.
pub(super) enum Standing {
    /// It is time for the answer.
    Answer(v1::DrainResponse),
    /// When to look again at the latest.
    Wait(Instant),
}

impl Core {
    /// Commits DRAINING where it is not said yet, and gives the barriers' numbers.
    pub(super) fn start_drain(
        &mut self,
        lease_id: &str,
        keys: Vec<v1::InstanceKey>,
        now: Instant,
    ) -> Result<Vec<u64>, Fault> {
        let names = self.held_all(lease_id, keys)?;
        self.set_draining(lease_id, &names, now);
        Ok(names.iter().filter_map(|n| self.drain_of(n)).collect())
    }

    pub(super) fn set_draining(&mut self, lease_id: &str, names: &[EntryName], now: Instant) {
        self.commit(now, |c| {
            for name in names {
                let Some(present) = c.state.instances.get(name) else {
                    continue;
                };
                let draining = v1::Lifecycle::Draining as i32;
                if present.lifecycle != draining {
                    let next = v1::Instance {
                        lifecycle: draining,
                        ..owned(present)
                    };
                    c.put(next, lease_id);
                }
            }
        });
    }

    /// How drains stand, with an answer at their end or at the deadline.
    pub(super) fn standing(
        &self,
        ids: &[u64],
        deadline: Instant,
        now: Instant,
    ) -> Result<Standing, Fault> {
        let drains: Vec<&Drain> = ids.iter().filter_map(|id| self.drains.get(id)).collect();
        if let Some(d) = drains.iter().find(|d| d.cancelled) {
            let text = format!(
                "instance {} was set back to SERVING while it drained",
                d.name
            );
            return Err(Fault::new(ErrorReason::DrainCancelled, text).with("instance", &d.name));
        }
        let complete = drains.iter().all(|d| d.is_over(now));
        if complete || now >= deadline {
            return Ok(Standing::Answer(self.drain_report(&drains, complete)));
        }
        let pending = drains.iter().flat_map(|d| &d.gone).filter(|at| **at > now);
        Ok(Standing::Wait(
            pending.copied().fold(deadline, Instant::min),
        ))
    }

    fn drain_report(&self, drains: &[&Drain], complete: bool) -> v1::DrainResponse {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let result = if complete {
            DrainResult::Complete
        } else {
            DrainResult::Deadline
        };
        let mut response = v1::DrainResponse {
            epoch: self.state.epoch,
            revision: drains
                .iter()
                .map(|d| d.revision)
                .max()
                .unwrap_or(self.state.revision),
            result: result as i32,
            // Lookups are answered for use at once, so nothing from before lingers.
            safe_after: Some(duration_to_wire(std::time::Duration::ZERO)),
            ..Default::default()
        };
        for d in drains {
            response.confirmed += d.confirmed;
            response.unconfirmable += d.unconfirmable;
            response.behind += count(d.waiting.len());
            response.disconnected += count(d.gone.len());
            let behind = d.waiting.values().map(|caller| v1::DrainWatcher {
                client_name: caller.name.clone(),
                address: caller.address.clone(),
            });
            response.behind_watchers.extend(behind);
        }
        let list = &mut response.behind_watchers;
        list.sort_by(|a, b| (&a.client_name, &a.address).cmp(&(&b.client_name, &b.address)));
        list.truncate(MAX_BEHIND);
        response
    }
}
