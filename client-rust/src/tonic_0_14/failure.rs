//! Why a channel cannot serve a request, as gRPC tells it: a status with a `google.rpc.ErrorInfo`.

use std::time::Duration;

use tonic::{Code, Status};

use crate::error::Reason;
use crate::messages;
use crate::status;

use super::endpoint::Absence;

/// A failure with its reason, from the error table of the protocol.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    code: Code,
    reason: Reason,
    text: String,
}

impl Failure {
    /// No view arrived within the time that calls wait for the first one.
    pub(crate) fn no_view(target: &str, waited: Duration) -> Self {
        Self::unavailable(Reason::NoView, messages::no_view(target, waited, None))
    }

    /// The view is known, and there is nobody in it.
    pub(crate) fn no_instances(target: &str, absence: Option<&Absence>) -> Self {
        match absence {
            Some(Absence { reason, text }) => Self::unavailable(*reason, text.clone()),
            None => {
                let text = messages::no_instances(target, "nobody is registered");
                Self::unavailable(Reason::NoInstances, text)
            }
        }
    }

    /// There are instances, but none that takes requests, or the one that was asked for does not.
    pub(crate) fn none_serves(text: String) -> Self {
        Self::unavailable(Reason::NoInstances, text)
    }

    /// The instance that was asked for is not there.
    pub(crate) fn no_instance(text: String) -> Self {
        Self::unavailable(Reason::InstanceUnknown, text)
    }

    /// There are endpoints, but none that a request could be sent to.
    pub(crate) fn no_ready_endpoint(text: String) -> Self {
        Self::unavailable(Reason::NoReadyEndpoint, text)
    }

    /// A connection that takes no requests, and there is no other.
    pub(crate) fn refused(target: &str, address: &str, cause: &str) -> Self {
        let text = format!(
            "{address} refused a request to {target} and no other endpoint is ready: {cause}"
        );
        Self::unavailable(Reason::NoReadyEndpoint, text)
    }

    /// The channel was closed by its owner.
    pub(crate) fn closed(target: &str) -> Self {
        Self {
            code: Code::Cancelled,
            reason: Reason::Closed,
            text: format!("the channel to {target} is closed"),
        }
    }

    /// The call's deadline passed.
    pub(crate) fn deadline(text: String) -> Self {
        Self {
            code: Code::DeadlineExceeded,
            reason: Reason::Deadline,
            text,
        }
    }

    fn unavailable(reason: Reason, text: String) -> Self {
        Self {
            code: Code::Unavailable,
            reason,
            text,
        }
    }

    /// The cause for machines.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// The cause in words.
    pub(crate) fn message(&self) -> &str {
        &self.text
    }

    /// The cause in words, with the reason.
    pub(crate) fn text(&self) -> String {
        format!("{} [{}]", self.text, self.reason)
    }

    /// The status that a call ends with.
    pub(crate) fn to_status(&self) -> Status {
        status::status_with(self.code, self.reason.as_str(), &self.text(), &[], None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_details_are_what_protobuf_writes() {
        let status = Failure::no_instances("shop/pay", None).to_status();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.message(),
            "shop/pay has no instances: nobody is registered [NO_INSTANCES]"
        );
        let mut want =
            b"\x08\x0e\x12\x3eshop/pay has no instances: nobody is registered [NO_INSTANCES]"
                .to_vec();
        // The Any: 2 + 40 bytes of type URL, 2 + 22 bytes of value.
        want.extend_from_slice(b"\x1a\x42\x0a\x28type.googleapis.com/google.rpc.ErrorInfo");
        want.extend_from_slice(b"\x12\x16\x0a\x0cNO_INSTANCES\x12\x06muster");
        assert_eq!(status.details(), want);
    }

    #[test]
    fn long_lengths_take_two_bytes() {
        let text = "x".repeat(300 - " [NO_INSTANCES]".len());
        let status = Failure::none_serves(text).to_status();
        assert_eq!(status.message().len(), 300);
        assert!(status.details().starts_with(b"\x08\x0e\x12\xac\x02x"));
    }
}
