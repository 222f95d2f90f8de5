//! What the rules of Register say of one instance (docs/protocol.md, section 6.9). Pure.

use muster_proto::v1;
use muster_proto::v1::register_request::Claim as Claimed;

use super::state::Lease;

/// What is to become of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Create,
    Retry,
    Replace,
    TakeOver,
    Exists,
    Fenced,
}

/// Applies the first rule that fits: `present` is the lease that holds the instance, if any.
pub(super) fn judge(present: Option<&Lease>, request: &v1::RegisterRequest) -> Claim {
    let Some(present) = present else {
        return Claim::Create;
    };
    if present.request_id == request.request_id {
        return Claim::Retry;
    }
    match &request.claim {
        Some(Claimed::Previous(p)) if p.lease_id == present.id || newer(p, present) => {
            Claim::Replace
        }
        Some(Claimed::Previous(_)) => Claim::Fenced,
        Some(Claimed::TakeOver(t)) if t.incarnations.contains(&present.incarnation) => {
            Claim::TakeOver
        }
        _ => Claim::Exists,
    }
}

/// Whether a client's earlier lease is from after the present one, as only lost history allows.
fn newer(p: &v1::PreviousLease, present: &Lease) -> bool {
    (p.epoch, p.incarnation) > (present.epoch, present.incarnation)
}
