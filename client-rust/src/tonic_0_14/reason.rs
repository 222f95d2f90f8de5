//! Why a call failed, for programs.

use tonic::Status;

use crate::error::Reason;
use crate::status;

/// Returns why a call through a channel failed, of its `google.rpc.ErrorInfo`: `NO_VIEW`,
/// `NO_INSTANCES`, `NO_READY_ENDPOINT` and the like. It is `None` if the status has none of
/// Muster's, as most statuses of the called service; [`Reason::Unknown`] stands for one that this
/// version does not know. [`Error::reason`](crate::Error::reason) does the same for errors of the
/// client itself.
#[must_use]
pub fn reason_of(status: &Status) -> Option<Reason> {
    status::reason(status).map(|name| Reason::from_name(&name))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::tonic_0_14::failure::Failure;

    #[test]
    fn reasons() {
        let of = |reason| status::status_of(Code::Unavailable, reason, &[], None);
        let nobody = Failure::no_instances("shop/pay", None).to_status();
        let mut other = nobody.details().to_vec();
        let domain = other.len() - "muster".len();
        other[domain..].copy_from_slice(b"others");
        for (name, status, want) in [
            ("ours", nobody, Some(Reason::NoInstances)),
            ("a server's", of("NO_VIEW"), Some(Reason::NoView)),
            (
                "another's",
                Status::with_details(Code::Unavailable, "x", other.into()),
                None,
            ),
            ("no details", Status::unavailable("x"), None),
            ("a later one's", of("NEW_REASON"), Some(Reason::Unknown)),
        ] {
            assert_eq!(reason_of(&status), want, "{name}");
        }
    }
}
