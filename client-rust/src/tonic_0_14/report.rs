//! What became of a request at its endpoint.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, StatusCode};
use muster_rules::outcome::{Ending, outcome_of};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::event::Event;
use crate::reason;

use super::core::Core;
use super::slot::Slot;

/// A request that was handed to a connection. Whoever learns how it ended says so; dropped without
/// that, its caller gave it up.
pub(crate) struct Sent {
    core: Arc<Core>,
    pub(crate) slot: Arc<Slot>,
    began: Instant,
    answered: bool,
}

impl Sent {
    pub(crate) fn now(core: Arc<Core>, slot: Arc<Slot>) -> Self {
        Self {
            core,
            slot,
            began: Instant::now(),
            answered: false,
        }
    }

    /// Response headers have come.
    pub(crate) fn answered(mut self) -> Self {
        self.answered = true;
        self
    }

    /// The request has ended with this code.
    pub(crate) fn ended(self, code: Code) {
        let held = self.began.elapsed();
        let ending = Ending {
            code: i32::from(code).unsigned_abs(),
            sent: true,
            answered: self.answered,
            held_ms: i64::try_from(held.as_millis()).unwrap_or(i64::MAX),
        };
        self.core.report(&self.slot, outcome_of(ending));
        self.core.observe(&Event::RpcFinished {
            service: &self.core.target,
            endpoint: &self.slot.key.address,
            result: name(code),
            duration: held,
        });
    }
}

fn name(code: Code) -> &'static str {
    match i32::from(code).unsigned_abs() {
        0 => "OK",
        number => reason::Code::from_number(number).as_str(),
    }
}

/// The code that headers or trailers end a call with, if they do.
pub(crate) fn code_of(headers: &HeaderMap) -> Option<Code> {
    Status::from_header_map(headers).map(|status| status.code())
}

/// The code of a response that is no gRPC.
pub(crate) fn code_of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// Where a call is: for the message of a deadline, and so that the deadline of a request that was
/// not answered counts.
#[derive(Default)]
pub(crate) struct Stage(Mutex<Option<Sent>>);

impl Stage {
    pub(crate) fn set(&self, sent: Sent) {
        *self.lock() = Some(sent);
    }

    pub(crate) fn take(&self) -> Option<Sent> {
        self.lock().take()
    }

    /// What the call waited for when its deadline passed.
    pub(crate) fn passed(&self, target: &str) -> String {
        match self.take() {
            None => format!("waiting for an endpoint of {target}"),
            Some(sent) => {
                let text = format!("{} had not answered", sent.slot.key);
                sent.ended(Code::DeadlineExceeded);
                text
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Sent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
