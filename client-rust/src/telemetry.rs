//! Where everything that happens is counted and told of.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::calls::What;
use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::event::Event;
use crate::freshness::Freshness;
use crate::observer::{Header, Observer};
use crate::stats::Counters;
use crate::watched::Watched;

/// How long to wait if no view changes its freshness by time alone.
const NEVER: Duration = Duration::from_secs(3_600);

/// The counters and the observer. Every count of `Stats` is made here, from events.
#[derive(Default)]
pub(crate) struct Telemetry {
    pub(crate) counters: Counters,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Some view may be of another freshness.
    views_changed: Notify,
}

impl Telemetry {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Telemetry {
        Telemetry {
            observer,
            ..Telemetry::default()
        }
    }

    /// Counts an event and tells it to the observer. No lock may be held that a method of the
    /// client takes.
    pub(crate) fn observe(&self, event: &Event<'_>) {
        self.counters.count(event);
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    /// What the observer wants to be sent with a call of the present task.
    pub(crate) fn headers(&self) -> Vec<Header> {
        let Some(observer) = &self.observer else {
            return Vec::new();
        };
        let mut headers = observer.headers();
        headers.retain(Header::is_sendable);
        headers
    }

    /// Makes the freshness of the views be looked at.
    pub(crate) fn view_published(&self) {
        self.views_changed.notify_one();
    }
}

/// Tells the observer when views become less, or again more, trustworthy, until the client closes.
pub(crate) async fn watch_freshness(shared: Arc<Shared>) {
    let closing = shared.watcher.closing();
    closing
        .run_until_cancelled_owned(tell_changes(shared))
        .await;
}

async fn tell_changes(shared: Arc<Shared>) {
    let telemetry = shared.config.telemetry.clone();
    let mut told = HashMap::new();
    loop {
        let watched = shared.watcher.wanted();
        let mut next = NEVER;
        for w in &watched {
            next = next.min(telemetry.tell_freshness(w, &mut told));
        }
        told.retain(|id, _| watched.iter().any(|w| w.id == *id));
        tokio::select! {
            () = sleep(next) => {}
            () = telemetry.views_changed.notified() => {}
        }
    }
}

impl Telemetry {
    /// Tells of one view, and when to look again.
    fn tell_freshness(&self, watched: &Watched, told: &mut HashMap<u32, Freshness>) -> Duration {
        let view = watched.view();
        let from = told.get(&watched.id).copied();
        let from = from.unwrap_or(Freshness::Expired);
        let to = view.freshness();
        told.insert(watched.id, to);
        if to != from {
            self.observe(&Event::ViewFreshnessChanged {
                selector: &watched.selector.to_string(),
                from,
                to,
            });
        }
        view.freshness_ends().unwrap_or(NEVER)
    }
}

/// How events tell of a result: `OK`, the reason of the error, or its code.
pub(crate) fn result_of<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "OK",
        Err(e) if e.reason() == Reason::Unknown => e.code().as_str(),
        Err(e) => e.reason().as_str(),
    }
}

/// What a call's `CallFinished` will say.
pub(crate) struct ObservedCall {
    began: Instant,
    /// The server that was asked last; empty if none was.
    pub(crate) server: String,
    pub(crate) attempts: u32,
}

impl ObservedCall {
    pub(crate) fn begin() -> ObservedCall {
        ObservedCall {
            began: Instant::now(),
            server: String::new(),
            attempts: 0,
        }
    }

    pub(crate) fn finish<T>(
        &self,
        telemetry: &Telemetry,
        what: What<'_>,
        result: &Result<T, Error>,
    ) {
        telemetry.observe(&Event::CallFinished {
            op: what.op,
            subject: what.subject,
            server: &self.server,
            result: result_of(result),
            duration: self.began.elapsed(),
            attempts: self.attempts,
            headers: what.headers,
        });
    }
}
