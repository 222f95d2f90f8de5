//! What a client watches, seen from its users: the table that the watch task brings about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cache_view::DiskView;
use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::messages;
use crate::selector::Selector;
use crate::telemetry;
use crate::watch;
use crate::watched::Watched;

/// The selectors that are wanted. Users change the table and wake the task, which makes the stream
/// carry them: so subscribing and dropping never wait, and no queue can overflow.
#[derive(Default)]
pub(crate) struct Watcher {
    table: Mutex<Table>,
    /// Selectors came or went, a picker applied a view, or it is closing.
    wake: Notify,
    closing: CancellationToken,
}

#[derive(Default)]
struct Table {
    started: bool,
    last_id: u32,
    /// By canonical selector.
    entries: HashMap<Vec<u8>, Entry>,
    /// Why there is no stream; none if there is one.
    failure: Option<Error>,
}

struct Entry {
    watched: Arc<Watched>,
    handle: Weak<Handle>,
}

/// Dropped with the last subscription, update stream or picker of a selector.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) watched: Arc<Watched>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.watcher.remove(&self.watched);
    }
}

impl Watcher {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle of this selector: a new one, or one more of those that are equal to it.
    pub(crate) fn add(shared: &Arc<Shared>, selector: Selector) -> Result<Arc<Handle>, Error> {
        let watcher = &shared.watcher;
        let key = selector.canonical();
        let stored = watcher.stored(shared, &key);
        let (handle, start) = {
            let mut table = watcher.lock();
            if watcher.closing.is_cancelled() {
                return Err(shared.closed_error());
            }
            if let Some(handle) = table.entries.get(&key).and_then(|e| e.handle.upgrade()) {
                return Ok(handle);
            }
            table.last_id += 1;
            let id = table.last_id;
            let watched = Arc::new(Watched::new(
                id,
                key.clone(),
                selector,
                shared.clock,
                stored,
            ));
            let handle = Arc::new(Handle {
                shared: shared.clone(),
                watched: watched.clone(),
            });
            let entry = Entry {
                watched,
                handle: Arc::downgrade(&handle),
            };
            table.entries.insert(key, entry);
            (handle, !std::mem::replace(&mut table.started, true))
        };
        if start {
            shared.spawn(watch::run(shared.clone()));
            if shared.config.telemetry.observer.is_some() {
                shared.spawn(telemetry::watch_freshness(shared.clone()));
            }
        }
        watcher.nudge();
        Ok(handle)
    }

    /// What the disk has of a selector that is not watched yet.
    fn stored(&self, shared: &Shared, key: &[u8]) -> Option<DiskView> {
        if self.lock().entries.contains_key(key) {
            return None;
        }
        shared.cache.as_ref()?.load(shared, key)
    }

    /// Takes a selector off the table, unless it was subscribed to anew meanwhile.
    fn remove(&self, watched: &Watched) {
        {
            let mut table = self.lock();
            let present = table.entries.get(&watched.key);
            if present.is_some_and(|e| e.watched.id == watched.id) {
                table.entries.remove(&watched.key);
            }
        }
        self.nudge();
    }

    /// Ends a selector for good.
    pub(crate) fn refuse(&self, watched: &Watched, error: Error) {
        tracing::error!(selector = %watched.selector, "{}", error.text());
        self.remove(watched);
        watched.finish(error);
    }

    /// Ends all subscriptions; the task then has nothing left to do.
    pub(crate) fn close(&self) {
        let all = {
            let mut table = self.lock();
            // While locked, so that none is added after the last look.
            self.closing.cancel();
            std::mem::take(&mut table.entries)
        };
        for entry in all.into_values() {
            let error = Error::new(Reason::Closed, messages::closed("client"));
            entry.watched.finish(error);
        }
        self.nudge();
    }

    /// Cancelled when the task is to end.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Makes the task look again.
    pub(crate) fn nudge(&self) {
        self.wake.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().entries.len()
    }

    pub(crate) fn set_failure(&self, failure: Option<Error>) {
        self.lock().failure = failure;
    }

    /// Why there is no stream; none if there is one.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// What a stream should carry, oldest first.
    pub(crate) fn wanted(&self) -> Vec<Arc<Watched>> {
        let table = self.lock();
        let mut list: Vec<_> = table.entries.values().map(|e| e.watched.clone()).collect();
        list.sort_by_key(|w| w.id);
        list
    }

    /// Returns once there is something to watch.
    pub(crate) async fn wait_for_selectors(&self) {
        while self.count() == 0 {
            self.woken().await;
        }
    }
}
