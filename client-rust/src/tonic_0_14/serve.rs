//! The whole life of a server in one call.

use std::future::Future;
use std::io;
use std::pin::pin;

use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, Router};

use crate::backoff::duration;
use crate::error::{Code, Error, Reason};
use crate::kinds::Lifecycle;
use crate::registration::Registration;

/// Runs a server's whole life: it serves, sets the registration to SERVING, and when `shutdown` ends
/// or the process gets SIGINT or SIGTERM, it drains, stops once calls in flight have ended, and
/// deregisters. Register with [`Lifecycle::Starting`], so that nobody calls before the server
/// listens. A second signal ends the waiting.
///
/// The end fits into [`ClientBuilder::grace_period`](crate::ClientBuilder::grace_period) of the
/// registration's client, 30 s unless that says otherwise: at most 5 s for watchers and another 5 s
/// for answers from before, until 20 s for calls in flight, and then 5 s for deregistering. Calls get
/// whatever more there is. What cannot be done on the way out (a drain without registry, calls that
/// do not end in time) is left out.
///
/// It returns `Ok` after an orderly end. From its first call in a process on,
/// the two signals no longer end the process by themselves.
///
/// # Errors
/// The server's, if it stopped by itself, with the registration ended all the same; or why it could
/// not be deregistered: it expires by its TTL then.
pub async fn serve<I, IO, IE>(
    router: Router,
    incoming: I,
    registration: Registration,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error>
where
    I: Stream<Item = Result<IO, IE>>,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    IE: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    let serving = router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let mut serving = pin!(serving);
    registration.set_lifecycle(Lifecycle::Serving);
    tokio::select! {
        result = &mut serving => return ended(result, &registration).await,
        () = shutdown => {}
        () = signals.next() => {}
    }
    let (began, grace) = (Instant::now(), registration.grace());
    let moment = |ms| began + duration(ms);
    let orderly = async {
        tokio::select! {
            // It goes on serving meanwhile; that it stops is not awaited here.
            _ = &mut serving => {}
            () = drain(&registration, moment(grace.watchers_ms), moment(grace.answers_ms)) => {
                stop.cancel();
                let _ = timeout_at(moment(grace.calls_ms), &mut serving).await;
            }
        }
    };
    tokio::select! {
        () = orderly => {}
        () = signals.next() => tracing::warn!("second signal: stopping at once"),
    }
    registration
        .deregister_within(duration(grace.deregister_ms))
        .await
}

/// The server stopped by itself.
async fn ended(
    result: Result<(), tonic::transport::Error>,
    registration: &Registration,
) -> Result<(), Error> {
    let within = duration(registration.grace().deregister_ms);
    let deregistered = registration.deregister_within(within).await;
    result.map_err(|e| internal("serve: the server stopped", e))?;
    deregistered
}

/// Waits until no watcher picks the instances, and until answers from before are no longer used.
/// The report is logged by the registration.
async fn drain(registration: &Registration, watchers: Instant, answers: Instant) {
    // A tenth of it is kept for the answer.
    let wait = watchers.saturating_duration_since(Instant::now()) * 9 / 10;
    match timeout_at(watchers, registration.drain(wait)).await {
        Ok(Ok(report)) => sleep_until(answers.min(Instant::now() + report.safe_after)).await,
        Ok(Err(e)) => tracing::warn!("not drained: {}", e.text()),
        Err(_) => tracing::warn!("not drained: the registry did not answer in time"),
    }
}

fn internal(what: &str, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_code(Reason::Unknown, Code::Internal, format!("{what}: {e}")).caused_by(e)
}

/// SIGINT and, where there is one, SIGTERM.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> Result<Signals, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen =
            |kind| signal(kind).map_err(|e: io::Error| internal("serve: listening for signals", e));
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, reason = "it can fail on unix")]
    fn listen() -> Result<Signals, Error> {
        Ok(Signals {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        // Without a console there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
