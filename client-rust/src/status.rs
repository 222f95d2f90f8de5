//! Makes an [`Error`] of what a gRPC call returned.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use muster_rules::errors::{ERROR_DOMAIN, map_error};
use prost::Message;
use tonic::Status;

use crate::error::{Code, Error, Reason, Violation};
use crate::instance::duration_from_wire;
use crate::messages;

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<prost_types::Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    #[prost(string, tag = "2")]
    pub(crate) domain: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) metadata: HashMap<String, String>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) retry_delay: Option<prost_types::Duration>,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FieldViolation {
    #[prost(string, tag = "1")]
    pub(crate) field: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
}

/// What the details of a status say.
#[derive(Default)]
struct Details {
    /// Empty if there is none of ours.
    reason: String,
    metadata: BTreeMap<String, String>,
    retry_after: Option<Duration>,
    violations: Vec<Violation>,
}

fn details(status: &Status) -> Details {
    let mut found = Details::default();
    let Ok(rpc) = RpcStatus::decode(status.details()) else {
        return found;
    };
    for any in rpc.details {
        match any.type_url.as_str() {
            ERROR_INFO => {
                if let Ok(info) = ErrorInfo::decode(any.value.as_slice())
                    && info.domain == ERROR_DOMAIN
                {
                    found.reason = info.reason;
                    found.metadata = info.metadata.into_iter().collect();
                }
            }
            RETRY_INFO => {
                if let Ok(info) = RetryInfo::decode(any.value.as_slice()) {
                    found.retry_after = duration_from_wire(info.retry_delay.as_ref());
                }
            }
            BAD_REQUEST => {
                if let Ok(bad) = BadRequest::decode(any.value.as_slice()) {
                    let fields = bad.field_violations.into_iter();
                    found.violations.extend(fields.map(|v| Violation {
                        field: v.field,
                        problem: v.description,
                    }));
                }
            }
            _ => {}
        }
    }
    found
}

/// The reason of ours that a status carries.
#[cfg(feature = "tonic-0_14")]
pub(crate) fn reason(status: &Status) -> Option<String> {
    Some(details(status).reason).filter(|reason| !reason.is_empty())
}

/// The error of a call to `server` that was answered with, or broke with, this status.
pub(crate) fn error(status: Status, op: &str, subject: &str, server: &str) -> Error {
    if let Some(own) = own(&status) {
        return own.clone().about(op, subject);
    }
    let found = details(&status);
    let broken = is_transport(&status);
    let sent = if broken && found.reason.is_empty() {
        Code::Unavailable
    } else {
        code(&status)
    };
    let row = map_error(sent as u32, ERROR_DOMAIN, &found.reason);
    let (reason, code) = (Reason::from_name(row.reason), Code::from_number(row.code));
    let text = if broken {
        cause(&status)
    } else {
        status.message().to_owned()
    };
    Error::with_code(
        reason,
        code,
        messages::server_error(op, subject, server, &text),
    )
    .about(op, subject)
    .at(server)
    .with_violations(found.violations)
    .after(found.retry_after)
    .with_details(found.metadata)
    .caused_by(status)
}

/// What this client decided before anything was sent.
fn own(status: &Status) -> Option<&Error> {
    status.source()?.downcast_ref::<Error>()
}

/// Whether the connection, and not the server's program, ended the call.
pub(crate) fn is_transport(status: &Status) -> bool {
    status.source().is_some() && own(status).is_none()
}

/// Whether the server said, or may have said, nothing about the outcome of a write.
pub(crate) fn outcome_unknown(error: &Error) -> bool {
    error.server().is_some()
        && matches!(
            error.reason(),
            Reason::StoreFailed | Reason::Deadline | Reason::Unknown
        )
}

/// The innermost cause of a broken connection, as people know it: `connection refused`.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut at: &(dyn StdError + 'static) = error;
    loop {
        if let Some(io) = at.downcast_ref::<io::Error>()
            && let Some(text) = io_cause(io)
        {
            return text;
        }
        match at.source() {
            Some(inner) => at = inner,
            None => return lower(&at.to_string()),
        }
    }
}

fn io_cause(e: &io::Error) -> Option<String> {
    let text = match e.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by peer",
        io::ErrorKind::ConnectionAborted => "connection aborted",
        io::ErrorKind::BrokenPipe => "broken pipe",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::UnexpectedEof => "the server ended the connection",
        // Without an operating system's code the text is in an inner error, or its own.
        _ if e.raw_os_error().is_none() => return None,
        _ => return Some(lower(&e.to_string())),
    };
    Some(text.to_owned())
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // "HTTP" stays as it is.
        (Some(first), Some(second)) if second.is_ascii_lowercase() => {
            first.to_lowercase().collect::<String>() + &text[first.len_utf8()..]
        }
        _ => text.to_owned(),
    }
}

fn code(status: &Status) -> Code {
    match status.code() {
        tonic::Code::Cancelled => Code::Cancelled,
        tonic::Code::InvalidArgument => Code::InvalidArgument,
        tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::AlreadyExists => Code::AlreadyExists,
        tonic::Code::PermissionDenied => Code::PermissionDenied,
        tonic::Code::ResourceExhausted => Code::ResourceExhausted,
        tonic::Code::FailedPrecondition => Code::FailedPrecondition,
        tonic::Code::Aborted => Code::Aborted,
        tonic::Code::OutOfRange => Code::OutOfRange,
        tonic::Code::Unimplemented => Code::Unimplemented,
        tonic::Code::Internal => Code::Internal,
        tonic::Code::Unavailable => Code::Unavailable,
        tonic::Code::DataLoss => Code::DataLoss,
        tonic::Code::Unauthenticated => Code::Unauthenticated,
        tonic::Code::Ok | tonic::Code::Unknown => Code::Unknown,
    }
}

/// The status that a server of ours would answer with: for tests and fakes.
#[cfg(test)]
pub(crate) fn status_of(
    code: tonic::Code,
    reason: &str,
    metadata: &[(&str, &str)],
    retry_after: Option<Duration>,
) -> Status {
    let message = format!("refused for the test: {reason}");
    status_with(code, reason, &message, metadata, retry_after)
}

/// A status with the details of an error that Muster decided.
#[cfg(any(test, feature = "testing", feature = "tonic-0_14"))]
pub(crate) fn status_with(
    code: tonic::Code,
    reason: &str,
    message: &str,
    metadata: &[(&str, &str)],
    retry_after: Option<Duration>,
) -> Status {
    let any = |type_url: &str, value: Vec<u8>| prost_types::Any {
        type_url: type_url.into(),
        value,
    };
    let mut list = vec![any(
        ERROR_INFO,
        ErrorInfo {
            reason: reason.into(),
            domain: ERROR_DOMAIN.into(),
            metadata: metadata
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
        .encode_to_vec(),
    )];
    list.extend(retry_after.map(|d| {
        let retry_delay = Some(crate::instance::duration_to_wire(d));
        any(RETRY_INFO, RetryInfo { retry_delay }.encode_to_vec())
    }));
    let rpc = RpcStatus {
        code: code as i32,
        message: message.to_owned(),
        details: list,
    };
    Status::with_details(code, message, rpc.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_with_reason() {
        let s = status_of(
            tonic::Code::ResourceExhausted,
            "OVERLOADED",
            &[("a", "b")],
            Some(Duration::from_millis(1_500)),
        );
        let e = error(s, "register", "shop/pay/pay-7", "10.0.0.5:7070");
        assert_eq!(
            (e.reason(), e.code()),
            (Reason::Overloaded, Code::ResourceExhausted)
        );
        assert_eq!(e.retry_after(), Some(Duration::from_millis(1_500)));
        assert_eq!(e.detail("a"), Some("b"));
        assert_eq!(
            e.to_string(),
            "muster: register shop/pay/pay-7: server 10.0.0.5:7070: refused for the test: OVERLOADED \
             [OVERLOADED]"
        );
    }

    #[test]
    fn errors_carry_what_was_attempted() {
        let mut s = status_of(tonic::Code::InvalidArgument, "INVALID_ARGUMENT", &[], None);
        let mut rpc = RpcStatus::decode(s.details()).expect("details");
        let bad = BadRequest {
            field_violations: vec![FieldViolation {
                field: "instances[0].version".into(),
                description: "no semantic version".into(),
            }],
        };
        rpc.details.push(prost_types::Any {
            type_url: BAD_REQUEST.into(),
            value: bad.encode_to_vec(),
        });
        s = Status::with_details(s.code(), "x", rpc.encode_to_vec().into());
        let e = error(s, "register", "shop/pay/pay-1", "10.0.0.5:7070");
        assert_eq!((e.op(), e.subject()), ("register", "shop/pay/pay-1"));
        let [v] = e.violations() else {
            panic!("violations {:?}", e.violations())
        };
        assert_eq!(v.field, "instances[0].version");
        assert_eq!(v.problem, "no semantic version");
        // What this client decided keeps its text, and is about what was attempted.
        let token = Error::new(Reason::Unauthenticated, "no token").about("token", "");
        let own = Status::from_error(Box::new(token.clone()));
        let e = error(own, "lookup", "shop/pay", "s:1");
        assert_eq!((e.op(), e.subject()), ("lookup", "shop/pay"));
        assert_eq!((token.op(), e.to_string()), ("token", token.to_string()));
    }

    #[test]
    fn status_without_reason_goes_by_code() {
        for (code, reason, want, retryable) in [
            (
                tonic::Code::Unknown,
                Reason::Unknown,
                Code::Unavailable,
                true,
            ),
            (
                tonic::Code::Cancelled,
                Reason::Unknown,
                Code::Unavailable,
                true,
            ),
            (
                tonic::Code::Unavailable,
                Reason::Unknown,
                Code::Unavailable,
                true,
            ),
            (
                tonic::Code::Internal,
                Reason::Unknown,
                Code::Internal,
                false,
            ),
            (
                tonic::Code::PermissionDenied,
                Reason::Forbidden,
                Code::PermissionDenied,
                false,
            ),
            (
                tonic::Code::DeadlineExceeded,
                Reason::Deadline,
                Code::DeadlineExceeded,
                true,
            ),
        ] {
            let e = error(Status::new(code, "x"), "lookup", "a/b", "s:1");
            assert_eq!((e.reason(), e.code()), (reason, want), "{code:?}");
            assert_eq!(e.is_retryable(), retryable, "{code:?}");
        }
        // Another domain's reason is not ours.
        let mut s = status_of(tonic::Code::Unavailable, "FENCED", &[], None);
        let mut rpc = RpcStatus::decode(s.details()).expect("details");
        let mut info = ErrorInfo::decode(rpc.details[0].value.as_slice()).expect("info");
        info.domain = "other".into();
        rpc.details[0].value = info.encode_to_vec();
        s = Status::with_details(s.code(), "x", rpc.encode_to_vec().into());
        assert_eq!(error(s, "a", "b", "c").reason(), Reason::Unknown);
    }

    #[test]
    fn causes_read_well() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(cause(&refused), "connection refused");
        let wrapped = io::Error::other(refused);
        assert_eq!(cause(&wrapped), "connection refused");
        assert_eq!(cause(&io::Error::other("Some thing")), "some thing");
        assert_eq!(cause(&io::Error::other("TLS failed")), "TLS failed");
    }
}
