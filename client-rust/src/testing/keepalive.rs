//! Keepalives.

use muster_proto::v1;
use muster_proto::v1::keep_alive_exception::Kind;
use tokio::time::Instant;

use super::check::{MAX_LEASES_PER_KEEPALIVE, at_most};
use super::core::Core;
use super::fault::Fault;
use super::state::{EntryName, owned};
use crate::InstanceKey;

impl Core {
    /// Answers one request of a stream; `previous` is the sequence of the one before.
    pub(super) fn keep_alive(
        &mut self,
        request: v1::KeepAliveRequest,
        previous: u64,
        now: Instant,
    ) -> Result<v1::KeepAliveResponse, Fault> {
        check(&request, previous)?;
        let mut exceptions = Vec::new();
        for (index, id) in (0..).zip(&request.lease_ids) {
            if let Some(lease) = self.state.leases.get_mut(id) {
                lease.renew(now);
                continue;
            }
            let unknown = Fault::lease_unknown();
            exceptions.push(exception(
                index,
                Kind::Lost(v1::LeaseLost {
                    reason: unknown.reason as i32,
                    message: unknown.message,
                }),
            ));
        }
        for report in request.reports {
            let index = report.lease_index;
            if let Err(fault) = self.report(&request.lease_ids[index as usize], report, now) {
                exceptions.push(exception(
                    index,
                    Kind::ReportRefused(v1::ReportRefused {
                        reason: fault.reason as i32,
                        message: fault.message,
                    }),
                ));
            }
        }
        Ok(v1::KeepAliveResponse {
            sequence: request.sequence,
            exceptions,
        })
    }

    /// Takes what an instance says of its health.
    fn report(
        &mut self,
        lease_id: &str,
        report: v1::HealthReport,
        now: Instant,
    ) -> Result<(), Fault> {
        let key = InstanceKey::from(report.key.unwrap_or_default());
        let name = EntryName::from(key);
        self.held(lease_id, &name)?;
        if let Some(present) = self.state.instances.get(&name) {
            let next = v1::Instance {
                self_health: report.self_health,
                ..owned(present)
            };
            self.rewrite(next, lease_id, now);
        }
        Ok(())
    }
}

fn check(request: &v1::KeepAliveRequest, previous: u64) -> Result<(), Fault> {
    let leases = request.lease_ids.len();
    if request.sequence <= previous {
        return Err(Fault::invalid(format!(
            "sequence: {} must be above that of the request before, {previous}",
            request.sequence
        )));
    }
    let beyond = |r: &&v1::HealthReport| r.lease_index as usize >= leases;
    if let Some(r) = request.reports.iter().find(beyond) {
        return Err(Fault::invalid(format!(
            "reports: lease_index {} must be a position in lease_ids, which has {leases}",
            r.lease_index
        )));
    }
    at_most("leases_per_keepalive", MAX_LEASES_PER_KEEPALIVE, leases)
}

fn exception(lease_index: u32, kind: Kind) -> v1::KeepAliveException {
    v1::KeepAliveException {
        lease_index,
        kind: Some(kind),
    }
}
