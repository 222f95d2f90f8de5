//! The handle of what is watched: [`Subscription`], its [`Updates`] and its [`Picker`]s.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::unfold;
use muster_rules::defaults;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::freshness::Freshness;
use crate::instance::ServiceName;
use crate::intent::Intent;
use crate::kinds::Position;
use crate::messages;
use crate::selector::{Names, Selector};
use crate::update::{Update, between};
use crate::view::{Source, View};
use crate::watcher::{Handle, Watcher};

/// A handle of a watched selector. Equal selectors of a client share one watch, which ends when the
/// last of their subscriptions, update streams and pickers is dropped. A subscription does not keep
/// its client alive; it ends as `CLOSED` with it.
#[derive(Clone)]
pub struct Subscription {
    handle: Arc<Handle>,
    changes: watch::Receiver<u64>,
    began: Instant,
}

impl Subscription {
    pub(crate) fn open(shared: &Arc<Shared>, selector: Selector) -> Result<Subscription, Error> {
        selector.validate()?;
        let handle = Watcher::add(shared, selector)?;
        Ok(Subscription {
            changes: handle.watched.watch_changes(),
            handle,
            began: Instant::now(),
        })
    }

    /// The newest view. Never waits; before the first view was received it is an empty one, whose
    /// intent is `NOT_YET`.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.handle.watched.view()
    }

    /// What is watched.
    pub fn selector(&self) -> &Selector {
        &self.handle.watched.selector
    }

    /// Why the subscription ended: refused by the registry, or `CLOSED` with the client. None while
    /// it goes on. Outages do not end it.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.handle.watched.end()
    }

    /// Waits for a view that this handle has not been given by `changed` yet. Cancel-safe.
    ///
    /// # Errors
    /// Why the subscription ended, at once and again and again.
    pub async fn changed(&mut self) -> Result<Arc<View>, Error> {
        if let Some(e) = self.error() {
            return Err(e);
        }
        // An error means that the sender is gone, and this handle holds it.
        let _ = self.changes.changed().await;
        match self.error() {
            Some(e) => Err(e),
            None => Ok(self.view()),
        }
    }

    /// Waits, at most 5 s, until there is a view that has at least this many instances; one from
    /// disk counts, and [`View::source`] tells.
    ///
    /// # Errors
    /// What is missing: `NO_VIEW` if nothing was received, else why there are no or too few
    /// instances; why the subscription ended.
    pub async fn wait(&self, instances: usize) -> Result<Arc<View>, Error> {
        self.wait_timeout(instances, defaults::CALL_TIMEOUT).await
    }

    /// The same within a time of the caller's choice.
    ///
    /// # Errors
    /// Those of [`Subscription::wait`].
    pub async fn wait_timeout(
        &self,
        instances: usize,
        within: Duration,
    ) -> Result<Arc<View>, Error> {
        let mut changes = self.changes.clone();
        let enough = async {
            loop {
                changes.borrow_and_update();
                let view = self.view();
                if view.is_received() && view.instances().len() >= instances {
                    return Ok(view);
                }
                if let Some(e) = self.error() {
                    return Err(e);
                }
                if view.source() == Source::Static {
                    return Err(self.missing(instances, Duration::ZERO, &[]));
                }
                // An error means that the sender is gone, and this handle holds it.
                let _ = changes.changed().await;
            }
        };
        let mut similar = Vec::new();
        let result = tokio::select! {
            result = timeout_at(Instant::now() + within, enough) => result,
            never = self.find_similar(&mut similar) => match never {},
        };
        result.unwrap_or_else(|_| Err(self.missing(instances, within, &similar)))
    }

    /// Once the one service of the selector turns out to be unknown, asks for names like it. Does not
    /// end.
    async fn find_similar(&self, similar: &mut Vec<String>) -> Infallible {
        let mut changes = self.changes.clone();
        let service = loop {
            changes.borrow_and_update();
            if let Some(service) = self.never_seen(&self.view()) {
                break service;
            }
            // An error means that the sender is gone, and this handle holds it.
            let _ = changes.changed().await;
        };
        *similar = self.handle.shared.similar(service).await;
        pending().await
    }

    /// The one service of the selector, if it was never registered.
    fn never_seen(&self, view: &View) -> Option<&ServiceName> {
        let service = self.only_service()?;
        let asked = view.source() != Source::Static;
        (asked && view.intent_of(service) == Intent::NeverSeen).then_some(service)
    }

    fn only_service(&self) -> Option<&ServiceName> {
        match self.selector().names() {
            Names::Services(names) if names.len() == 1 => names.first(),
            _ => None,
        }
    }

    /// [`View::why`] of the newest view; before the first it says since when it is waited for, and
    /// what the last error was.
    #[must_use]
    pub fn why(&self, service: &ServiceName) -> Option<Error> {
        let view = self.view();
        if view.is_received() {
            return view.why(service);
        }
        Some(self.no_view(&service.to_string(), self.began.elapsed()))
    }

    /// The error of a first view that did not come.
    fn no_view(&self, what: &str, waited: Duration) -> Error {
        let last = self.handle.shared.watcher.failure();
        let text = last.as_ref().map(Error::text);
        let text = messages::no_view(what, waited, text.as_deref());
        Error::new(Reason::NoView, text).about("pick", what)
    }

    /// The error of a wait that ended.
    fn missing(&self, wanted: usize, waited: Duration, similar: &[String]) -> Error {
        let view = self.view();
        let what = self.selector().to_string();
        if !view.is_received() {
            return self.no_view(&what, waited);
        }
        match self.only_service().and_then(|service| view.why(service)) {
            Some(e) if e.reason() == Reason::ServiceUnknown && view.source() != Source::Static => {
                let Position { epoch, revision } = view.position();
                let text = messages::service_unknown(&what, epoch, revision, similar);
                Error::new(Reason::ServiceUnknown, text).about("pick", what)
            }
            Some(e) => e,
            None if view.source() == Source::Static => {
                let text = messages::too_few_given(&what, view.instances().len(), wanted);
                Error::new(Reason::NoInstances, text)
            }
            None => {
                let have = view.instances().len();
                let text = messages::too_few(&what, have, wanted, waited);
                Error::new(Reason::NoInstances, text).about("pick", what)
            }
        }
    }

    /// What changes, beginning with a snapshot of the first view.
    ///
    /// It is no queue: it remembers the view that it yielded last and yields the difference to the
    /// present one, so a slow reader misses steps in between and costs nothing. The end of the
    /// subscription is yielded last, as an error.
    pub fn updates(&self) -> Updates {
        let first = View::empty(
            self.handle.watched.selector.clone(),
            self.handle.shared.clock,
        );
        let reader = Reader {
            handle: self.handle.clone(),
            changes: self.handle.watched.watch_changes(),
            last: Arc::new(first),
            freshness: None,
            queue: VecDeque::new(),
            over: false,
        };
        Updates {
            stream: Box::pin(unfold(reader, Reader::next)),
        }
    }

    /// Lists something that picks instances outside of [`Subscription::view`], such as a balancer:
    /// drains wait until it has applied the view that shows them. It counts as applied up to now.
    #[must_use = "a picker that is dropped is not waited for"]
    pub fn add_picker(&self) -> Picker {
        Picker {
            id: self.handle.watched.add_picker(),
            handle: self.handle.clone(),
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("selector", self.selector())
            .field("position", &self.view().position())
            .finish_non_exhaustive()
    }
}

/// Something that picks instances outside of [`Subscription::view`]. Dropping it takes it off: drains
/// no longer wait for it.
pub struct Picker {
    handle: Arc<Handle>,
    id: u64,
}

impl Picker {
    /// Tells that from now on the picker picks by this view, or a newer one, alone.
    pub fn applied(&self, view: &View) {
        self.handle.watched.picker_applied(self.id, view.position());
        self.handle.shared.watcher.nudge();
    }
}

impl Drop for Picker {
    fn drop(&mut self) {
        self.handle.watched.remove_picker(self.id);
        self.handle.shared.watcher.nudge();
    }
}

impl fmt::Debug for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picker")
            .field("selector", &self.handle.watched.selector)
            .finish_non_exhaustive()
    }
}

/// The stream of [`Subscription::updates`]. It keeps the watch open by itself.
#[must_use = "streams do nothing unless polled"]
pub struct Updates {
    stream: Pin<Box<dyn Stream<Item = Result<Update, Error>> + Send>>,
}

impl Stream for Updates {
    type Item = Result<Update, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates").finish_non_exhaustive()
    }
}

/// What an update stream remembers.
struct Reader {
    handle: Arc<Handle>,
    changes: watch::Receiver<u64>,
    /// The view that was told of last.
    last: Arc<View>,
    /// The freshness that was told of last; none before the first view.
    freshness: Option<Freshness>,
    /// At most two updates: of the set, and of its freshness.
    queue: VecDeque<Update>,
    over: bool,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<Update, Error>, Reader)> {
        loop {
            if let Some(update) = self.queue.pop_front() {
                return Some((Ok(update), self));
            }
            if self.over {
                return None;
            }
            self.changes.borrow_and_update();
            // In this order, so that the last view is told of before the end.
            let end = self.handle.watched.end();
            self.look();
            if !self.queue.is_empty() {
                continue;
            }
            if let Some(e) = end {
                self.over = true;
                return Some((Err(e), self));
            }
            self.wait().await;
        }
    }

    /// Queues what there is to tell of the way from the last view to the present one.
    fn look(&mut self) {
        let view = self.handle.watched.view();
        if !view.is_received() {
            return;
        }
        self.queue.extend(between(&self.last, &view));
        let to = view.freshness();
        // The first view is taken to be fresh, unless it says otherwise.
        let from = self.freshness.replace(to).unwrap_or(Freshness::Fresh);
        if from != to {
            let view = view.clone();
            self.queue.push_back(Update::Freshness { from, to, view });
        }
        self.last = view;
    }

    /// Waits for a newer view, the end, or time to change the freshness.
    async fn wait(&mut self) {
        let aged = self.last.freshness_ends();
        let aged = async {
            match aged {
                Some(left) => sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // An error means that the sender is gone, and this reader holds it.
            _ = self.changes.changed() => {}
            () = aged => {}
        }
    }
}
