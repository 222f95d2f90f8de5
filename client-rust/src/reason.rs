//! The machine-readable causes of errors, and the gRPC codes that they travel under.

use std::fmt;

/// The status codes of gRPC, without a dependency on any gRPC library in this crate's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The caller gave up.
    Cancelled = 1,
    /// Nothing better is known.
    Unknown = 2,
    /// The request is wrong whatever the state of the system.
    InvalidArgument = 3,
    /// The deadline passed; the outcome is unknown.
    DeadlineExceeded = 4,
    /// What was named does not exist.
    NotFound = 5,
    /// What was to be created exists.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A limit or a quota is used up.
    ResourceExhausted = 8,
    /// The system is not in the state that the request needs.
    FailedPrecondition = 9,
    /// A concurrent change came in between.
    Aborted = 10,
    /// A value is outside of its range.
    OutOfRange = 11,
    /// The server does not do this.
    Unimplemented = 12,
    /// A defect.
    Internal = 13,
    /// Not now, or not here.
    Unavailable = 14,
    /// Data was lost.
    DataLoss = 15,
    /// Credentials are missing or wrong.
    Unauthenticated = 16,
}

impl Code {
    /// The name as gRPC writes it, such as `NOT_FOUND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Cancelled => "CANCELLED",
            Code::Unknown => "UNKNOWN",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Code::NotFound => "NOT_FOUND",
            Code::AlreadyExists => "ALREADY_EXISTS",
            Code::PermissionDenied => "PERMISSION_DENIED",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Code::FailedPrecondition => "FAILED_PRECONDITION",
            Code::Aborted => "ABORTED",
            Code::OutOfRange => "OUT_OF_RANGE",
            Code::Unimplemented => "UNIMPLEMENTED",
            Code::Internal => "INTERNAL",
            Code::Unavailable => "UNAVAILABLE",
            Code::DataLoss => "DATA_LOSS",
            Code::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Whether an error of this code, of a reason that this client does not know, may be retried.
    pub(crate) fn is_retryable(self) -> bool {
        matches!(
            self,
            Code::Unavailable
                | Code::Aborted
                | Code::ResourceExhausted
                | Code::DeadlineExceeded
                | Code::Cancelled
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to do about an error, as the table in the protocol gives it for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// The same call fails again.
    No,
    /// The same call may succeed later.
    Later,
    /// The same call may succeed at another server now, or here later.
    Elsewhere,
}

/// One table: the reason, its number in `muster.v1.ErrorReason`, its name, its code, its retry.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $code:ident, $retry:ident;)*) => {
        /// The cause of an [`Error`](crate::Error). Equal in name to the protocol's `ErrorReason`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            /// A reason that this version of the client does not know; go by the code.
            Unknown,
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// The name in the protocol, such as `LEASE_UNKNOWN`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { Reason::Unknown => "UNKNOWN", $(Reason::$variant => $name,)* }
            }

            /// The reason of this name; `Unknown` if there is none.
            pub(crate) fn from_name(name: &str) -> Reason {
                match name { $($name => Reason::$variant,)* _ => Reason::Unknown }
            }

            /// The reason of this number in the protocol; `Unknown` if there is none.
            pub(crate) fn from_number(number: i32) -> Reason {
                match number { $($number => Reason::$variant,)* _ => Reason::Unknown }
            }

            /// The code that errors of this reason have.
            pub(crate) fn code(self) -> Code {
                match self { Reason::Unknown => Code::Unknown, $(Reason::$variant => Code::$code,)* }
            }

            fn retry(self) -> Option<Retry> {
                match self { Reason::Unknown => None, $(Reason::$variant => Some(Retry::$retry),)* }
            }

            #[cfg(test)]
            const ALL: &[(Reason, i32)] = &[$((Reason::$variant, $number),)*];
        }
    };
}

reasons! {
    /// A field of the request is wrong; nothing was changed.
    InvalidArgument = 1, "INVALID_ARGUMENT", InvalidArgument, No;
    /// An endpoint's address cannot be dialled by others.
    InvalidEndpoint = 2, "INVALID_ENDPOINT", InvalidArgument, No;
    /// The request exceeds a limit of the server.
    LimitExceeded = 3, "LIMIT_EXCEEDED", ResourceExhausted, No;
    /// The result of a lookup would be too large: subscribe instead.
    ResultTooLarge = 4, "RESULT_TOO_LARGE", OutOfRange, No;
    /// The server does not serve a feature that the request needs.
    FeatureNotServed = 5, "FEATURE_NOT_SERVED", Unimplemented, No;
    /// The server does not serve this client's protocol version.
    ProtocolNotServed = 6, "PROTOCOL_NOT_SERVED", FailedPrecondition, No;
    /// Another lease holds the instance.
    InstanceExists = 10, "INSTANCE_EXISTS", AlreadyExists, No;
    /// A newer lease holds the instance. Final: this process must stop registering it.
    Fenced = 11, "FENCED", FailedPrecondition, No;
    /// The registry knows no such lease.
    LeaseUnknown = 12, "LEASE_UNKNOWN", NotFound, No;
    /// The lease does not hold this instance.
    InstanceUnknown = 13, "INSTANCE_UNKNOWN", NotFound, No;
    /// Too many concurrent changes of the same entries.
    Conflict = 14, "CONFLICT", Aborted, Later;
    /// The instance went back to serving while a drain waited.
    DrainCancelled = 15, "DRAIN_CANCELLED", Aborted, No;
    /// The wanted position belongs to another epoch: ask again without it.
    EpochChanged = 20, "EPOCH_CHANGED", Aborted, No;
    /// The server has not reached the wanted revision.
    ViewBehind = 21, "VIEW_BEHIND", Unavailable, Elsewhere;
    /// The server serves an older epoch than this client has seen.
    EpochBehind = 22, "EPOCH_BEHIND", Unavailable, Elsewhere;
    /// The server belongs to another cluster than this client's.
    WrongCluster = 23, "WRONG_CLUSTER", FailedPrecondition, Elsewhere;
    /// The server knows no such stream.
    StreamUnknown = 24, "STREAM_UNKNOWN", NotFound, No;
    /// The server is stopping.
    ShuttingDown = 25, "SHUTTING_DOWN", Unavailable, Elsewhere;
    /// The server cannot reach its store.
    Isolated = 26, "ISOLATED", Unavailable, Elsewhere;
    /// The store has no room on disk.
    StoreFull = 27, "STORE_FULL", Unavailable, Later;
    /// The store failed; the outcome of the write is unknown.
    StoreFailed = 28, "STORE_FAILED", Unavailable, Elsewhere;
    /// Too many requests.
    Overloaded = 29, "OVERLOADED", ResourceExhausted, Later;
    /// Credentials are missing or wrong.
    Unauthenticated = 30, "UNAUTHENTICATED", Unauthenticated, No;
    /// This client may not do this.
    Forbidden = 31, "FORBIDDEN", PermissionDenied, No;
    /// A defect of the server. Please report it.
    Internal = 32, "INTERNAL", Internal, No;
    /// No server of the list answers.
    NoServer = 50, "NO_SERVER", Unavailable, Elsewhere;
    /// The service was never registered.
    ServiceUnknown = 51, "SERVICE_UNKNOWN", NotFound, Later;
    /// The service has no instances that could be picked.
    NoInstances = 52, "NO_INSTANCES", Unavailable, Later;
    /// Instances are known, but no connection to one is ready.
    NoReadyEndpoint = 53, "NO_READY_ENDPOINT", Unavailable, Later;
    /// No first view arrived in time.
    NoView = 54, "NO_VIEW", Unavailable, Later;
    /// The client, registration or subscription is closed.
    Closed = 55, "CLOSED", Cancelled, No;
    /// The deadline of the call passed; its outcome is unknown.
    Deadline = 56, "DEADLINE", DeadlineExceeded, Elsewhere;
    /// The lease expired while this process did not run.
    LeaseExpired = 57, "LEASE_EXPIRED", NotFound, Later;
    /// The caller gave up.
    Cancelled = 58, "CANCELLED", Cancelled, No;
    /// The server broke a rule of the protocol; what it sent was dropped.
    ProtocolViolation = 59, "PROTOCOL_VIOLATION", Internal, Elsewhere;
}

impl Reason {
    /// Whether the same call may succeed later, given the code that came with the reason.
    pub(crate) fn is_retryable(self, code: Code) -> bool {
        self.retry().map_or(code.is_retryable(), |r| r != Retry::No)
    }

    /// Whether to try another server at once.
    pub(crate) fn is_elsewhere(self, code: Code) -> bool {
        self.retry()
            .map_or(code == Code::Unavailable, |r| r == Retry::Elsewhere)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_proto::v1::ErrorReason;

    #[test]
    fn reasons_equal_the_contract() {
        for (reason, number) in Reason::ALL {
            let proto = ErrorReason::try_from(*number).expect("a number of the contract");
            assert_eq!(
                proto.as_str_name(),
                format!("ERROR_REASON_{}", reason.as_str())
            );
            assert_eq!(Reason::from_number(*number), *reason);
            assert_eq!(Reason::from_name(reason.as_str()), *reason);
        }
        for number in 1..200 {
            if ErrorReason::try_from(number).is_ok() {
                assert_ne!(
                    Reason::from_number(number),
                    Reason::Unknown,
                    "reason {number} of the contract is missing"
                );
            }
        }
    }

    #[test]
    fn unknown_reason_goes_by_code() {
        for (code, retryable, elsewhere) in [
            (Code::Unavailable, true, true),
            (Code::Aborted, true, false),
            (Code::ResourceExhausted, true, false),
            (Code::Internal, false, false),
            (Code::InvalidArgument, false, false),
        ] {
            assert_eq!(Reason::Unknown.is_retryable(code), retryable, "{code}");
            assert_eq!(Reason::Unknown.is_elsewhere(code), elsewhere, "{code}");
        }
        assert!(!Reason::Fenced.is_retryable(Code::Unavailable));
    }
}
