//! A call from its request to its response: its deadline, and its patience.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

use super::attempt::Attempts;
use super::core::Core;
use super::deadline::Deadline;
use super::report::Stage;
use super::request::read_ahead;
use super::response::{ResponseBody, passed, tidy};

/// An extension of a request: rather than fail while no endpoint is ready, wait for one.
///
/// Without it, calls wait only while an endpoint is being connected, and fail once all that were
/// tried have failed. The request's own deadline holds in any case.
#[derive(Clone, Copy, Debug)]
pub struct WaitForReady(Duration);

impl WaitForReady {
    /// Waits for up to `limit`, then fails as if it had not waited.
    #[must_use]
    pub fn up_to(limit: Duration) -> Self {
        Self(limit)
    }
}

/// Sends a request and returns when its response headers are there.
pub(crate) async fn call(
    core: &Arc<Core>,
    request: Request<Body>,
) -> Result<Response<ResponseBody>, Status> {
    let (parts, body) = request.into_parts();
    let (deadline, patience) = timers(core, &parts);
    let payload = read_ahead(body)?;
    let stage = Stage::default();
    let budget = deadline.as_ref().map(|deadline| deadline.budget);
    let mut attempts = Attempts::new(core, parts, budget, patience, &stage);
    let (response, exchange, deadline) = match deadline {
        None => {
            let (response, exchange) = attempts.run(payload).await?;
            (response, exchange, None)
        }
        Some(mut deadline) => {
            let (response, exchange) = within(&mut deadline, attempts.run(payload), || {
                stage.passed(&core.target)
            })
            .await?;
            (response, exchange, Some(deadline))
        }
    };
    let (mut head, stream) = response.into_parts();
    tidy(&mut head.headers, budget);
    let body = ResponseBody::new(&head, stream, exchange, deadline);
    Ok(Response::from_parts(head, body))
}

/// How long to wait rather than fail.
pub(crate) type Patience = Option<Pin<Box<Sleep>>>;

/// The timers of a call, on its channel's runtime: calls may be polled from elsewhere.
fn timers(core: &Core, parts: &Parts) -> (Option<Deadline>, Patience) {
    let _entered = core.runtime.enter();
    let wait = parts.extensions.get::<WaitForReady>();
    let patience = wait.map(|wait| Box::pin(sleep(wait.0)));
    (Deadline::start(&parts.headers), patience)
}

/// Gives up on `work` when the deadline passes.
async fn within<T>(
    deadline: &mut Deadline,
    work: impl Future<Output = Result<T, Status>>,
    until_then: impl Fn() -> String,
) -> Result<T, Status> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        deadline
            .poll_passed(cx)
            .map(|()| Err(passed(deadline.budget, &until_then())))
    })
    .await
}
