//! One watched selector, shared by all subscriptions that are equal to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::cache_view::DiskView;
use crate::error::Error;
use crate::fixed::{FixedPart, FixedServices};
use crate::frame::FrameState;
use crate::instance::ServiceName;
use crate::kinds::Position;
use crate::selector::Selector;
use crate::view::{Clock, Source, View};

/// A selector, its newest view and who picks from it. The watch task alone publishes views.
pub(crate) struct Watched {
    /// Unique in the client; also the subscription id on streams.
    pub(crate) id: u32,
    /// The canonical selector.
    pub(crate) key: Vec<u8>,
    pub(crate) selector: Arc<Selector>,
    /// What of the selector is fixed; none for nothing.
    pub(crate) fixed: Option<FixedPart>,
    /// What the registry is asked for; none for nothing.
    pub(crate) asked: Option<Selector>,
    view: ArcSwap<View>,
    /// The sequence of the newest view; bumped once more at the end.
    changed: watch::Sender<u64>,
    end: OnceLock<Error>,
    pickers: Mutex<Pickers>,
    /// What was found on disk, until the watch task takes it.
    disk: Mutex<Option<DiskView>>,
    /// What a watch task held that gave the selector to another one.
    held: Mutex<Option<Held>>,
}

/// What a watch task holds of a selector.
pub(crate) struct Held {
    pub(crate) frames: FrameState,
    pub(crate) forbidden: Arc<[ServiceName]>,
    /// The cluster that the frames are of according to the disk, if that was not compared yet.
    pub(crate) disk_cluster: Option<String>,
}

#[derive(Default)]
struct Pickers {
    last_id: u64,
    /// Up to where each picker has applied.
    applied: BTreeMap<u64, Position>,
}

impl Watched {
    /// What was found on disk makes the first view.
    pub(crate) fn new(
        id: u32,
        key: Vec<u8>,
        selector: Selector,
        given: &FixedServices,
        clock: Clock,
        mut disk: Option<DiskView>,
    ) -> Watched {
        let (fixed, asked) = given.split(&selector);
        let selector = Arc::new(selector);
        let mut first = View::empty(selector.clone(), clock);
        match (&fixed, &asked) {
            (Some(fixed), None) => fixed.show_alone(&mut first),
            (None, _) if disk.is_some() => {
                if let Some(disk) = &disk {
                    disk.show(&mut first);
                }
            }
            _ => disk = None,
        }
        Watched {
            id,
            key,
            view: ArcSwap::from_pointee(first),
            selector,
            fixed,
            asked,
            changed: watch::Sender::new(0),
            end: OnceLock::new(),
            pickers: Mutex::default(),
            disk: Mutex::new(disk),
            held: Mutex::default(),
        }
    }

    /// Keeps what a task held for the next one.
    pub(crate) fn hand_over(&self, held: Held) {
        let mut slot = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(held);
    }

    /// Takes what the task before held.
    pub(crate) fn take_held(&self) -> Option<Held> {
        let mut slot = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }

    /// Takes what was found on disk.
    pub(crate) fn take_disk(&self) -> Option<DiskView> {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        disk.take()
    }

    /// The newest view.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Tells of newer views, and of the end.
    pub(crate) fn watch_changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Makes the next view by an edit of the present one. The watch task alone calls it.
    pub(crate) fn publish(&self, edit: impl FnOnce(&mut View)) {
        let mut next = View::clone(&self.view.load());
        next.sequence += 1;
        edit(&mut next);
        self.view.store(Arc::new(next));
        self.changed.send_modify(|n| *n += 1);
    }

    /// The view comes from memory now, since its stream broke.
    pub(crate) fn lost_stream(&self) {
        if self.view.load().source == Source::Registry {
            self.publish(|v| v.source = Source::Memory);
        }
    }

    /// Gives all subscriptions of the selector a terminal error; the first one stays.
    pub(crate) fn finish(&self, error: Error) {
        if self.end.set(error).is_ok() {
            self.changed.send_modify(|n| *n += 1);
        }
    }

    /// The terminal error, if there is one.
    pub(crate) fn end(&self) -> Option<Error> {
        self.end.get().cloned()
    }

    fn pickers(&self) -> MutexGuard<'_, Pickers> {
        self.pickers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a picker that picks by the newest view, or a later one.
    pub(crate) fn add_picker(&self) -> u64 {
        let mut pickers = self.pickers();
        pickers.last_id += 1;
        let id = pickers.last_id;
        let at = self.view.load().position;
        pickers.applied.insert(id, at);
        id
    }

    /// A picker picks by a view of this position, or a later one, alone.
    pub(crate) fn picker_applied(&self, id: u64, at: Position) {
        if let Some(applied) = self.pickers().applied.get_mut(&id) {
            *applied = at;
        }
    }

    pub(crate) fn remove_picker(&self, id: u64) {
        self.pickers().applied.remove(&id);
    }

    /// Up to where the view and all its pickers have gone; none while one of them is still in
    /// another epoch.
    pub(crate) fn applied(&self) -> Option<Position> {
        // Pickers first: one that is added later begins at a view that is at least as new.
        let pickers = self.pickers();
        let mut at = self.view.load().position;
        for applied in pickers.applied.values() {
            if applied.epoch != at.epoch {
                return None;
            }
            at.revision = at.revision.min(applied.revision);
        }
        Some(at)
    }
}
