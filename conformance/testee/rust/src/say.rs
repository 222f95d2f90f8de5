//! What is printed: answers, events, and the fields of errors.

use std::collections::HashMap;
use std::io::Write;

use muster_client::{Error, Reason};
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::command::{Answer, Failure, millis};

/// Writes one line. Whether somebody reads it is none of the testee's business.
fn line(value: &Value) {
    let mut text = value.to_string();
    text.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Says what is wrong with the harness' own words.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Answers a command.
pub(crate) fn answer(id: u64, answer: Answer) {
    match answer {
        Ok(Value::Null) => line(&json!({ "id": id, "ok": {} })),
        Ok(ok) => line(&json!({ "id": id, "ok": ok })),
        Err(failure) => line(&json!({ "id": id, "error": failure.fields() })),
    }
}

/// Tells what a channel showed.
pub(crate) fn event(on: &str, kind: &str, mut fields: Value) {
    fields["on"] = on.into();
    fields["event"] = kind.into();
    line(&fields);
}

impl Failure {
    /// What a program can read from it, and under `about` what differs from run to run. A mistake
    /// in the command has the reason `TESTEE`.
    pub(crate) fn fields(&self) -> Value {
        match self {
            Failure::Client(e) => error(e),
            Failure::Call(s) => status(s),
            Failure::Cancelled => json!({ "reason": "CANCELLED", "code": "CANCELLED" }),
            Failure::Command(text) => json!({ "reason": "TESTEE", "about": { "text": text } }),
        }
    }
}

/// The fields of an error of the client.
pub(crate) fn error(e: &Error) -> Value {
    json!({
        // Go's error without a reason has an empty one.
        "reason": if e.reason() == Reason::Unknown { "" } else { e.reason().as_str() },
        "code": e.code().as_str(),
        "retryable": e.is_retryable(),
        "about": {
            "text": e.to_string(),
            "retry_after_ms": e.retry_after().map_or(0, millis),
        },
    })
}

fn status(s: &Status) -> Value {
    // The channel gives a reason for a deadline that passed; in Go it is gRPC's own error.
    let reason = match s.code() {
        Code::DeadlineExceeded => String::new(),
        _ => reason(s),
    };
    json!({ "reason": reason, "code": code(s.code()), "about": { "text": s.message() } })
}

/// `google.rpc.Status`, as far as it is read here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

/// The reason that a status carries; empty if it carries none.
fn reason(status: &Status) -> String {
    let details = RpcStatus::decode(status.details()).map_or_else(|_| Vec::new(), |s| s.details);
    details
        .iter()
        .filter(|d| d.type_url.ends_with("/google.rpc.ErrorInfo"))
        .find_map(|d| ErrorInfo::decode(d.value.as_slice()).ok())
        .map_or_else(String::new, |info| info.reason)
}

/// The code as the specification of gRPC writes it.
fn code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
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
