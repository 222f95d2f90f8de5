//! Unary calls: finding a server, trying, and trying again elsewhere.

use std::future::Future;
use std::time::Duration;

use muster_rules::retry::Verdict;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Response, Status};

use crate::backoff::Backoff;
use crate::client::{Shared, gave_up, too_late};
use crate::error::{Error, Reason};
use crate::observer::Header;
use crate::servers::Lane;
use crate::telemetry::ObservedCall;

/// What a call is called in texts: what is attempted, and about what.
#[derive(Clone, Copy)]
pub(crate) struct What<'a> {
    pub(crate) op: &'a str,
    pub(crate) subject: &'a str,
    /// What the observer wants to be sent with it.
    pub(crate) headers: &'a [Header],
    /// Each server is tried once, and nobody waits for a second time: there is another answer.
    pub(crate) brief: bool,
}

/// A request with the time that is left as its `grpc-timeout`.
pub(crate) fn request<T>(message: T, deadline: Instant) -> Request<T> {
    let mut request = Request::new(message);
    // A moment more than this side waits, so that it is always this side that ends the call.
    request.set_timeout(
        deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(100),
    );
    request
}

impl Shared {
    /// Makes a unary call: finds a server, tries, and on an error that may pass tries again,
    /// elsewhere first, until the deadline leaves no time for it. Every call of the contract may be
    /// repeated safely.
    pub(crate) async fn call<T, F, Fut>(
        &self,
        what: What<'_>,
        deadline: Instant,
        attempt: F,
    ) -> Result<T, Error>
    where
        F: Fn(Lane, Instant) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let mut last = None;
        let mut call = ObservedCall::begin();
        let attempts = self.attempts(what, deadline, &attempt, &mut last, &mut call);
        let result = tokio::select! {
            () = self.ended.cancelled() => Ok(Err(self.closed_error())),
            result = timeout_at(deadline, attempts) => result,
        };
        let result = result.unwrap_or_else(|_| Err(gave_up(what.op, what.subject, last.as_ref())));
        call.finish(&self.config.telemetry, what, &result);
        result
    }

    async fn attempts<T, F, Fut>(
        &self,
        what: What<'_>,
        deadline: Instant,
        attempt: &F,
        last: &mut Option<Error>,
        call: &mut ObservedCall,
    ) -> Result<T, Error>
    where
        F: Fn(Lane, Instant) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.budget.call();
        let mut retries = Backoff::default();
        for tries in 1.. {
            let e = match self.try_once(what, deadline, attempt, call).await {
                Ok(answer) => return Ok(answer),
                Err(e) => e,
            };
            let (verdict, wait) = self.decide(&e, tries, deadline, what.brief, &mut retries);
            match verdict {
                Verdict::GiveUp if e.is_retryable() => {
                    return Err(too_late(what.op, what.subject, &e));
                }
                Verdict::GiveUp => return Err(e),
                Verdict::Retry | Verdict::Move => *last = Some(e),
            }
            sleep(wait).await;
        }
        // Only after 2^64 attempts.
        Err(gave_up(what.op, what.subject, last.as_ref()))
    }

    /// One attempt at whichever server serves. The budget of repetitions is the caller's business.
    pub(crate) async fn try_once<T, F, Fut>(
        &self,
        what: What<'_>,
        deadline: Instant,
        attempt: &F,
        call: &mut ObservedCall,
    ) -> Result<T, Error>
    where
        F: Fn(Lane, Instant) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        call.attempts += 1;
        let mut lane = self.servers.acquire(None).await?;
        lane.address().clone_into(&mut call.server);
        lane.connection.carry(what.headers);
        let mut repeated = false;
        loop {
            let status = match attempt(lane.clone(), deadline).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            let e = lane.error(status, what.op, what.subject);
            if e.is_elsewhere() {
                self.servers.failed(lane.index());
            }
            // A token that the server refused was dropped: once more, with a new one.
            let again = e.reason() == Reason::Unauthenticated
                && e.server().is_some()
                && self.config.tokens.is_some()
                && !repeated;
            if !again {
                return Err(e);
            }
            repeated = true;
            call.attempts += 1;
        }
    }
}
