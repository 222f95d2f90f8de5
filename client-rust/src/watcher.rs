//! What a client watches, seen from its users: the table that the watch task brings about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use muster_rules::defaults;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cache_view::DiskView;
use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::messages;
use crate::selector::Selector;
use crate::telemetry;
use crate::view::View;
use crate::watch;
use crate::watched::Watched;

/// The selectors that are wanted. Users change the table and wake the task, which makes the stream
/// carry them: so subscribing and dropping never wait, and no queue can overflow.
#[derive(Default)]
pub(crate) struct Watcher {
    table: Mutex<Table>,
    closing: CancellationToken,
}

#[derive(Default)]
struct Table {
    /// Filled in order; each takes `per_stream` selectors.
    lanes: Vec<Arc<WatchLane>>,
    /// How many selectors each lane carries.
    carried: Vec<usize>,
    /// Rises with each change of the entries.
    version: u64,
    /// 0 until a server said what it takes.
    per_stream: usize,
    last_id: u32,
    /// By canonical selector.
    entries: HashMap<Vec<u8>, Entry>,
    /// Why there is no stream; none if there is one.
    failure: Option<Error>,
}

struct Entry {
    watched: Arc<Watched>,
    /// None if the registry is not asked for it.
    lane: Option<usize>,
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

/// What one watch stream carries: all selectors, unless they are more than servers take on one.
#[derive(Default)]
pub(crate) struct WatchLane {
    index: usize,
    /// Selectors came or went, a picker applied a view, or it is closing.
    wake: Notify,
}

impl WatchLane {
    /// Makes the task look again.
    fn nudge(&self) {
        self.wake.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Table {
    fn per_stream(&self) -> usize {
        match self.per_stream {
            0 => defaults::SUBSCRIPTIONS_PER_STREAM,
            n => n,
        }
    }

    /// Takes a selector off.
    fn remove(&mut self, key: &[u8]) {
        if let Some(lane) = self.entries.remove(key).and_then(|e| e.lane) {
            self.carried[lane] -= 1;
            self.version += 1;
        }
    }

    /// Makes another lane carry a selector.
    fn shift(&mut self, key: &[u8], lane: usize) {
        let entry = self.entries.get_mut(key);
        if let Some(before) = entry.and_then(|e| e.lane.replace(lane)) {
            self.carried[before] -= 1;
            self.carried[lane] += 1;
            self.version += 1;
        }
    }

    /// The first lane that takes one more selector, and whether it is new; none without one.
    fn room(&mut self) -> Option<(usize, bool)> {
        let per_stream = self.per_stream();
        if let Some(lane) = self.carried.iter().position(|n| *n < per_stream) {
            return Some((lane, false));
        }
        if self.lanes.len() == defaults::WATCH_STREAMS {
            return None;
        }
        let index = self.lanes.len();
        self.lanes.push(Arc::new(WatchLane {
            index,
            wake: Notify::new(),
        }));
        self.carried.push(0);
        Some((index, true))
    }

    fn full(&self, selector: &Selector) -> Error {
        let text = messages::too_many_selectors(
            &selector.to_string(),
            self.entries.len(),
            defaults::WATCH_STREAMS,
            self.per_stream(),
        );
        Error::new(Reason::LimitExceeded, text).about("subscribe", selector.to_string())
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
        let (handle, lane, start) = {
            let mut table = watcher.lock();
            if watcher.closing.is_cancelled() {
                return Err(shared.closed_error());
            }
            if let Some(handle) = table.entries.get(&key).and_then(|e| e.handle.upgrade()) {
                return Ok(handle);
            }
            let watched = Arc::new(Watched::new(
                table.last_id + 1,
                key.clone(),
                selector,
                &shared.config.fixed,
                shared.clock,
                stored,
            ));
            let room = match watched.asked {
                None => None,
                Some(_) => Some(table.room().ok_or_else(|| table.full(&watched.selector))?),
            };
            table.last_id += 1;
            let handle = Arc::new(Handle {
                shared: shared.clone(),
                watched: watched.clone(),
            });
            let entry = Entry {
                watched,
                lane: room.map(|(lane, _)| lane),
                handle: Arc::downgrade(&handle),
            };
            table.entries.insert(key, entry);
            let Some((lane, start)) = room else {
                return Ok(handle);
            };
            table.carried[lane] += 1;
            table.version += 1;
            (handle, table.lanes[lane].clone(), start)
        };
        if start {
            Watcher::start(shared, &lane, 0);
        }
        lane.nudge();
        Ok(handle)
    }

    /// Starts a lane's task, which takes no lower epoch than this one.
    fn start(shared: &Arc<Shared>, lane: &Arc<WatchLane>, epoch: u64) {
        shared.spawn(watch::run(shared.clone(), lane.clone(), epoch));
        if lane.index == 0 && shared.config.telemetry.observer.is_some() {
            shared.spawn(telemetry::watch_freshness(shared.clone()));
        }
    }

    /// Takes what a server says that one stream may carry, and returns what of the lane of the
    /// caller, its task, is more: to be given to `place` once the caller let go of it.
    pub(crate) fn limit(&self, from: &WatchLane, per_stream: usize) -> Vec<Arc<Watched>> {
        self.lock().per_stream = per_stream;
        let mut carried = self.wanted_of(from);
        carried.split_off(per_stream.min(carried.len()))
    }

    /// Gives selectors, of this epoch, to the lanes that have room; what fits nowhere ends.
    pub(crate) fn place(&self, shared: &Arc<Shared>, more: Vec<Arc<Watched>>, epoch: u64) {
        for watched in more {
            let placed = {
                let mut table = self.lock();
                let there = table.entries.get(&watched.key);
                if there.is_none_or(|e| e.watched.id != watched.id) {
                    continue; // closed meanwhile
                }
                match table.room() {
                    None => Err(table.full(&watched.selector)),
                    Some((lane, start)) => {
                        table.shift(&watched.key, lane);
                        Ok((table.lanes[lane].clone(), start))
                    }
                }
            };
            match placed {
                Err(error) => self.refuse(&watched, error),
                Ok((lane, start)) => {
                    if start {
                        Watcher::start(shared, &lane, epoch);
                    }
                    lane.nudge();
                }
            }
        }
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
                table.remove(&watched.key);
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
            table.carried.fill(0);
            table.version += 1;
            std::mem::take(&mut table.entries)
        };
        for entry in all.into_values() {
            entry.watched.finish(Error::closed("client"));
        }
        self.nudge();
    }

    /// Cancelled when the task is to end.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Makes all tasks look again.
    pub(crate) fn nudge(&self) {
        for lane in &self.lock().lanes {
            lane.nudge();
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// The newest view that the registry gave of a selector that is watched.
    pub(crate) fn view_of(&self, key: &[u8]) -> Option<Arc<View>> {
        let table = self.lock();
        let entry = table.entries.get(key)?;
        let view = entry.watched.view();
        (entry.lane.is_some() && view.is_received()).then_some(view)
    }

    pub(crate) fn set_failure(&self, failure: Option<Error>) {
        self.lock().failure = failure;
    }

    /// Why there is no stream; none if there is one.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.lock().failure.clone()
    }

    /// Everything that is watched, oldest first.
    pub(crate) fn wanted(&self) -> Vec<Arc<Watched>> {
        self.wanted_where(|_| true)
    }

    /// What a lane's stream should carry, oldest first.
    pub(crate) fn wanted_of(&self, lane: &WatchLane) -> Vec<Arc<Watched>> {
        self.wanted_where(|e| e.lane == Some(lane.index))
    }

    fn wanted_where(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<Arc<Watched>> {
        let table = self.lock();
        let wanted = table.entries.values().filter(|e| is_wanted(e));
        let mut list: Vec<_> = wanted.map(|e| e.watched.clone()).collect();
        list.sort_by_key(|w| w.id);
        list
    }

    /// Rises with each change of what is wanted.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// How many selectors a lane's stream should carry.
    pub(crate) fn count_of(&self, lane: &WatchLane) -> usize {
        self.lock().carried[lane.index]
    }

    /// Returns once a lane has something to watch.
    pub(crate) async fn wait_for_selectors(&self, lane: &WatchLane) {
        while self.count_of(lane) == 0 {
            lane.woken().await;
        }
    }
}
