//! The barrier of one draining instance: who may still pick it (docs/protocol.md, section 7).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_proto::v1;
use tokio::time::Instant;

use super::check::MAX_DRAIN_TIMEOUT;
use super::core::Core;
use super::selection::Selection;
use super::server::Caller;
use super::state::{Change, Entry, EntryName, State};
use super::stream::{Stream, Watcher};

/// For how long a drain waits for watchers that went away: their clients may still pick from their
/// last view.
const DISCONNECT_GRACE: Duration = Duration::from_secs(5);

/// One instance's barrier.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) name: EntryName,
    pub(super) revision: u64,
    /// The watchers that are waited for, by their number.
    pub(super) waiting: BTreeMap<u64, Arc<Caller>>,
    /// Until when watchers that went away are waited for.
    pub(super) gone: Vec<Instant>,
    pub(super) confirmed: u32,
    pub(super) unconfirmable: u32,
    pub(super) cancelled: bool,
    /// Since when nobody can begin to wait for it.
    closed: Option<Instant>,
}

impl Drain {
    /// Waits for a watcher, and asks it to acknowledge.
    fn list(&mut self, w: &mut Watcher) {
        self.waiting.insert(w.number, w.caller.clone());
        w.holding.want_ack = true;
    }

    /// Whether nobody is waited for any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.gone.iter().all(|until| *until <= now)
    }
}

/// What the client of a watcher may hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Holding {
    /// Whether it may hold anything of the view.
    pub(super) held: bool,
    /// The revision that it surely has reached: what it had before, it holds no more.
    pub(super) base: u64,
    /// The revision that it acknowledged.
    pub(super) acked: u64,
    /// Asks for an acknowledgement with the next frame.
    pub(super) want_ack: bool,
}

impl Holding {
    /// Notes what a client holds that subscribes.
    pub(super) fn resumed(&mut self, resume: Option<&v1::KnownView>, snapshot: bool) {
        if let Some(known) = resume {
            self.held = true;
            self.base = if snapshot { 0 } else { known.revision };
            self.acked = self.acked.min(known.revision);
        }
    }

    /// Notes what a client is about to be sent.
    pub(super) fn told(&mut self, revision: u64, snapshot: bool) {
        if snapshot && !self.held {
            (self.held, self.base) = (true, revision);
        }
    }

    /// Whether the client may hold an instance as one to pick. What was sent may still be unread,
    /// so the question is whether any set that it was told of, since the last one that it surely
    /// has, had it.
    fn may_hold(&self, sel: &Selection, name: &EntryName, state: &State, recovering: bool) -> bool {
        if !self.held || !sel.names(&name.service) {
            return false;
        }
        let told = |ch: &Change| {
            ch.name == *name
                && ch.revision > self.base
                && !Entry::is_draining(ch.before.as_ref())
                && sel.holds(ch.before.as_ref())
        };
        recovering || state.floor > self.base || state.log.iter().any(told)
    }
}

/// A watcher whose stream ended a moment ago.
#[derive(Debug)]
pub(super) struct Ended {
    sel: Arc<Selection>,
    holding: Holding,
    until: Instant,
}

impl Core {
    /// Begins and ends barriers as a commit says. It runs before any stream is told of the commit.
    pub(super) fn drained(&mut self, changes: &[Change], now: Instant) {
        for ch in changes {
            let was = Entry::is_draining(ch.before.as_ref());
            let is = Entry::is_draining(ch.after.as_ref());
            if is && !was {
                self.begin_drain(&ch.name, ch.revision, now);
            } else if was && !is {
                for d in self.drains.values_mut() {
                    if d.name == ch.name && d.closed.is_none() {
                        d.closed = Some(now);
                        // Watchers that were not told yet still pick an instance that is gone.
                        d.cancelled = ch.after.is_some();
                    }
                }
            }
        }
    }

    /// Lists who may hold an instance, and asks them to acknowledge.
    fn begin_drain(&mut self, name: &EntryName, revision: u64, now: Instant) {
        self.forget_drains(now);
        let recovering = self.is_recovering(now);
        let mut d = Drain {
            name: name.clone(),
            revision,
            waiting: BTreeMap::new(),
            gone: Vec::new(),
            confirmed: 0,
            unconfirmable: 0,
            cancelled: false,
            closed: None,
        };
        for w in self.streams.values_mut().flat_map(|s| &mut s.watchers) {
            let may = |h: &Holding| h.may_hold(&w.sel, name, &self.state, recovering);
            if w.holding.acked < revision && may(&w.holding) {
                d.list(w);
            }
        }
        for e in &self.ended {
            if e.holding.may_hold(&e.sel, name, &self.state, recovering) {
                d.gone.push(e.until);
            }
        }
        let id = self.number();
        self.drains.insert(id, d);
    }

    /// The number of the barrier of an instance that drains.
    pub(super) fn drain_of(&self, name: &EntryName) -> Option<u64> {
        let open = |d: &Drain| d.name == *name && d.closed.is_none();
        self.drains
            .iter()
            .find_map(|(id, d)| open(d).then_some(*id))
    }

    /// Drops the barriers that nobody can wait for any more, and the watchers that went away too
    /// long ago.
    fn forget_drains(&mut self, now: Instant) {
        self.drains
            .retain(|_, d| d.closed.is_none_or(|at| now < at + MAX_DRAIN_TIMEOUT));
        self.ended.retain(|e| now < e.until);
    }

    /// Makes the drains that still wait for somebody wait for a watcher too whose client comes from
    /// before them: it may pick what it held there.
    pub(super) fn join_drains(&mut self, w: &mut Watcher, now: Instant) {
        for d in self.drains.values_mut() {
            let before = w.holding.base.max(w.holding.acked) < d.revision;
            if w.holding.held && before && !d.is_over(now) && w.sel.names(&d.name.service) {
                d.list(w);
            }
        }
    }

    /// Takes a client's word that views of its stream, and all that pick from them, are at a
    /// revision. No view ids means all.
    pub(super) fn acknowledge(&mut self, request: &v1::AckWatchRequest) {
        let Some(stream) = self.streams.get_mut(&request.stream_id) else {
            return;
        };
        if request.epoch != self.state.epoch {
            return;
        }
        let mut passing = Vec::new();
        for w in &mut stream.watchers {
            let named = request.view_ids.is_empty() || request.view_ids.contains(&w.sel.view_id);
            // A client cannot have applied what it was not sent.
            let revision = request.revision.min(w.cursor);
            if named && revision > w.holding.acked {
                w.holding.acked = revision;
                w.holding.base = w.holding.base.max(revision);
                passing.push((w.number, revision));
            }
        }
        for (number, revision) in passing {
            self.passed(number, revision, |d| d.confirmed += 1);
        }
    }

    /// Tells that frames were handed to the transport. A client without the means to confirm passes
    /// with that.
    pub(super) fn sent(&mut self, stream_id: &str) {
        let Some(stream) = self.streams.get(stream_id) else {
            return;
        };
        if stream.caller.acks {
            return;
        }
        let told: Vec<_> = stream
            .watchers
            .iter()
            .map(|w| (w.number, w.cursor))
            .collect();
        for (number, revision) in told {
            self.passed(number, revision, |d| d.unconfirmable += 1);
        }
    }

    /// Takes a watcher off the lists of the drains up to a revision.
    fn passed(&mut self, watcher: u64, revision: u64, count: impl Fn(&mut Drain)) {
        for d in self.drains.values_mut().filter(|d| d.revision <= revision) {
            if d.waiting.remove(&watcher).is_some() {
                count(d);
                self.dirty = true;
            }
        }
    }

    /// Tells that a client gave a view up by itself. If it asked for the same view again at once, it
    /// goes on picking from what it had, and `next` is waited for in its place.
    pub(super) fn left_view(&mut self, w: &Watcher, next: Option<&mut Watcher>) {
        let Some(next) = next else {
            return self.passed(w.number, u64::MAX, |d| d.confirmed += 1);
        };
        next.holding.held |= w.holding.held;
        next.holding.base = next.holding.base.min(w.holding.base);
        for d in self.drains.values_mut() {
            if d.waiting.remove(&w.number).is_some() {
                d.list(next);
            }
        }
    }

    /// Tells that a stream ended: its client may pick on for a while.
    pub(super) fn ended(&mut self, stream: Stream, now: Instant) {
        let until = now + DISCONNECT_GRACE;
        for w in stream.watchers {
            self.passed(w.number, u64::MAX, |d| d.gone.push(until));
            if w.holding.held {
                self.ended.push(Ended {
                    sel: w.sel,
                    holding: w.holding,
                    until,
                });
            }
        }
        self.forget_drains(now);
    }
}
