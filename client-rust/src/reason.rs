//! The machine-readable causes of errors, and the gRPC codes that they travel under.

use std::fmt;

use muster_rules::errors;

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

    /// The code of this number in gRPC; `Unknown` if there is none, or if it is no error's.
    #[must_use]
    pub fn from_number(number: u32) -> Code {
        Code::ALL
            .into_iter()
            .find(|code| *code as u32 == number)
            .unwrap_or(Code::Unknown)
    }

    const ALL: [Code; 16] = [
        Code::Cancelled,
        Code::Unknown,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::ResourceExhausted,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::Unauthenticated,
    ];
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One table: the reason, its number in `muster.v1.ErrorReason`, its name. Code and class are a rule's:
/// [`errors`].
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
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

            #[cfg(test)]
            const ALL: &[(Reason, i32)] = &[$((Reason::$variant, $number),)*];
        }
    };
}

reasons! {
    /// A field of the request is wrong; nothing was changed.
    InvalidArgument = 1, "INVALID_ARGUMENT";
    /// An endpoint's address cannot be dialled by others.
    InvalidEndpoint = 2, "INVALID_ENDPOINT";
    /// The request exceeds a limit of the server.
    LimitExceeded = 3, "LIMIT_EXCEEDED";
    /// The result of a lookup would be too large: subscribe instead.
    ResultTooLarge = 4, "RESULT_TOO_LARGE";
    /// The server does not serve a feature that the request needs.
    FeatureNotServed = 5, "FEATURE_NOT_SERVED";
    /// The server does not serve this client's protocol version.
    ProtocolNotServed = 6, "PROTOCOL_NOT_SERVED";
    /// Another lease holds the instance.
    InstanceExists = 10, "INSTANCE_EXISTS";
    /// A newer lease holds the instance. Final: this process must stop registering it.
    Fenced = 11, "FENCED";
    /// The registry knows no such lease.
    LeaseUnknown = 12, "LEASE_UNKNOWN";
    /// The lease does not hold this instance.
    InstanceUnknown = 13, "INSTANCE_UNKNOWN";
    /// Too many concurrent changes of the same entries.
    Conflict = 14, "CONFLICT";
    /// The instance went back to serving while a drain waited.
    DrainCancelled = 15, "DRAIN_CANCELLED";
    /// The wanted position belongs to another epoch: ask again without it.
    EpochChanged = 20, "EPOCH_CHANGED";
    /// The server has not reached the wanted revision.
    ViewBehind = 21, "VIEW_BEHIND";
    /// The server serves an older epoch than this client has seen.
    EpochBehind = 22, "EPOCH_BEHIND";
    /// The server belongs to another cluster than this client's.
    WrongCluster = 23, "WRONG_CLUSTER";
    /// The server knows no such stream.
    StreamUnknown = 24, "STREAM_UNKNOWN";
    /// The server is stopping.
    ShuttingDown = 25, "SHUTTING_DOWN";
    /// The server cannot reach its store.
    Isolated = 26, "ISOLATED";
    /// The store has no room on disk.
    StoreFull = 27, "STORE_FULL";
    /// The store failed; the outcome of the write is unknown.
    StoreFailed = 28, "STORE_FAILED";
    /// Too many requests.
    Overloaded = 29, "OVERLOADED";
    /// Credentials are missing or wrong.
    Unauthenticated = 30, "UNAUTHENTICATED";
    /// This client may not do this.
    Forbidden = 31, "FORBIDDEN";
    /// A defect of the server. Please report it.
    Internal = 32, "INTERNAL";
    /// No server of the list answers.
    NoServer = 50, "NO_SERVER";
    /// The service was never registered.
    ServiceUnknown = 51, "SERVICE_UNKNOWN";
    /// The service has no instances that could be picked.
    NoInstances = 52, "NO_INSTANCES";
    /// Instances are known, but no connection to one is ready.
    NoReadyEndpoint = 53, "NO_READY_ENDPOINT";
    /// No first view arrived in time.
    NoView = 54, "NO_VIEW";
    /// The client, registration or subscription is closed.
    Closed = 55, "CLOSED";
    /// The deadline of the call passed; its outcome is unknown.
    Deadline = 56, "DEADLINE";
    /// The lease expired while this process did not run.
    LeaseExpired = 57, "LEASE_EXPIRED";
    /// The caller gave up.
    Cancelled = 58, "CANCELLED";
    /// The server broke a rule of the protocol; what it sent was dropped.
    ProtocolViolation = 59, "PROTOCOL_VIOLATION";
}

impl Reason {
    /// The code that errors of this reason have.
    pub(crate) fn code(self) -> Code {
        errors::row_of(self.as_str()).map_or(Code::Unknown, |row| Code::from_number(row.code))
    }

    /// What the rule says of this reason, given the code that came with it.
    pub(crate) fn row(self, code: Code) -> errors::Row {
        errors::map_error(code as u32, errors::ERROR_DOMAIN, self.as_str())
    }

    /// Whether the same call may succeed later, given the code that came with the reason.
    pub(crate) fn is_retryable(self, code: Code) -> bool {
        self.row(code).is_retryable()
    }

    /// Whether to prefer another server from now on.
    pub(crate) fn is_elsewhere(self, code: Code) -> bool {
        self.row(code).next_server
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
        let rows = errors::ROWS.iter().map(|row| row.reason);
        let named = Reason::ALL.iter().map(|(reason, _)| reason.as_str());
        assert!(
            rows.eq(named),
            "other reasons than in the rule, or in another order"
        );
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
