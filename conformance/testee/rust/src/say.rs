//! What is printed: answers, events, and the fields of errors.

use std::io::Write;

use muster_client::tonic_0_14::reason_of;
use muster_client::{Code, Error, Reason};
use serde_json::{Value, json};
use tonic::Status;

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
        tonic::Code::DeadlineExceeded => "",
        _ => reason_of(s).map_or("", Reason::as_str),
    };
    json!({ "reason": reason, "code": Code::from_number(s.code() as u32).as_str(), "about": { "text": s.message() } })
}
