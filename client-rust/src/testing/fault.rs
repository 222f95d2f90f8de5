//! Errors that the registry decided.

use muster_proto::v1::ErrorReason;
use tonic::{Code, Status};

use crate::error::{Error, Reason};
use crate::status::status_with;

/// An error that the registry decided: a gRPC status with `ErrorInfo`.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: ErrorReason,
    pub(super) message: String,
    metadata: Vec<(&'static str, String)>,
}

impl Fault {
    /// Makes a fault.
    pub(super) fn new(reason: ErrorReason, message: impl Into<String>) -> Fault {
        Fault {
            reason,
            message: message.into(),
            metadata: Vec::new(),
        }
    }

    /// Makes the fault of a wrong field.
    pub(super) fn invalid(message: impl Into<String>) -> Fault {
        Fault::new(ErrorReason::InvalidArgument, message)
    }

    /// Makes the fault of a feature that is not served.
    pub(super) fn not_served(feature: &str) -> Fault {
        let text =
            format!("this needs the feature \"{feature}\", which a test registry does not serve");
        Fault::new(ErrorReason::FeatureNotServed, text).with("feature", feature)
    }

    /// Makes the fault of an unknown lease.
    pub(super) fn lease_unknown() -> Fault {
        Fault::new(
            ErrorReason::LeaseUnknown,
            "no such lease: it expired, was ended or replaced; register again",
        )
    }

    /// Adds one piece of metadata.
    pub(super) fn with(mut self, key: &'static str, value: impl ToString) -> Fault {
        self.metadata.push((key, value.to_string()));
        self
    }
}

/// What the client's checks said.
impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let reason = match error.reason() {
            Reason::InvalidEndpoint => ErrorReason::InvalidEndpoint,
            _ => ErrorReason::InvalidArgument,
        };
        Fault::new(reason, error.to_string())
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Status {
        let name = fault.reason.as_str_name();
        let name = name.strip_prefix("ERROR_REASON_").unwrap_or(name);
        let metadata: Vec<(&str, &str)> = fault
            .metadata
            .iter()
            .map(|(k, v)| (*k, v.as_str()))
            .collect();
        status_with(code_of(fault.reason), name, &fault.message, &metadata, None)
    }
}

/// The gRPC code of a reason; docs/errors.md has them all.
fn code_of(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::InvalidArgument | ErrorReason::InvalidEndpoint => Code::InvalidArgument,
        ErrorReason::LimitExceeded => Code::ResourceExhausted,
        ErrorReason::ResultTooLarge => Code::OutOfRange,
        ErrorReason::FeatureNotServed => Code::Unimplemented,
        ErrorReason::ProtocolNotServed | ErrorReason::Fenced | ErrorReason::WrongCluster => {
            Code::FailedPrecondition
        }
        ErrorReason::InstanceExists => Code::AlreadyExists,
        ErrorReason::LeaseUnknown | ErrorReason::InstanceUnknown | ErrorReason::StreamUnknown => {
            Code::NotFound
        }
        ErrorReason::DrainCancelled | ErrorReason::EpochChanged => Code::Aborted,
        ErrorReason::ViewBehind | ErrorReason::EpochBehind | ErrorReason::ShuttingDown => {
            Code::Unavailable
        }
        _ => Code::Internal,
    }
}
