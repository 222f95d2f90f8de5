//! Why a channel cannot serve a request, as gRPC tells it: a status with a `google.rpc.ErrorInfo`.

use std::time::Duration;

use bytes::Bytes;
use muster_rules::errors::ERROR_DOMAIN;
use tonic::{Code, Status};

use crate::error::Reason;
use crate::messages;

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
        let message = self.text();
        let details = status_details(self.code, &message, self.reason.as_str());
        Status::with_details(self.code, message, details)
    }
}

/// `google.rpc.Status{code, message, details: [Any(google.rpc.ErrorInfo{reason, domain})]}`,
/// encoded by hand: three flat messages are no reason to depend on generated ones.
fn status_details(code: Code, message: &str, reason: &str) -> Bytes {
    const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
    let mut info = Vec::new();
    put_field(&mut info, 1, reason.as_bytes());
    put_field(&mut info, 2, ERROR_DOMAIN.as_bytes());
    let mut any = Vec::new();
    put_field(&mut any, 1, ERROR_INFO.as_bytes());
    put_field(&mut any, 2, &info);
    let mut status = vec![1 << 3];
    put_varint(&mut status, i32::from(code).unsigned_abs() as usize);
    put_field(&mut status, 2, message.as_bytes());
    put_field(&mut status, 3, &any);
    status.into()
}

fn put_field(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    const LENGTH_DELIMITED: u8 = 2;
    out.push(number << 3 | LENGTH_DELIMITED);
    put_varint(out, value.len());
    out.extend_from_slice(value);
}

fn put_varint(out: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
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
        let mut out = Vec::new();
        put_varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
    }
}
