//! The registry's side of one Watch.

use std::sync::Arc;
use std::time::Duration;

use muster_proto::v1;
use muster_proto::v1::watch_response::Frame;
use muster_proto::v1::{ErrorReason, SnapshotCause};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::barrier::Holding;
use super::check::{MAX_SUBSCRIPTIONS, at_most, limits};
use super::core::{CLUSTER_ID, Core};
use super::fault::Fault;
use super::resume::{Decision, Present, decide_resume};
use super::selection::Selection;
use super::server::Caller;

/// One Watch.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) caller: Arc<Caller>,
    /// What UpdateWatch asked for since the last frames.
    adding: Vec<Subscription>,
    removing: Vec<u32>,
    /// Its views, in the order in which they began.
    pub(super) watchers: Vec<Watcher>,
    /// Cancelled when the registry ends the stream.
    pub(super) over: CancellationToken,
}

/// A subscription that a client asked for.
#[derive(Debug, Clone)]
struct Subscription {
    id: u32,
    sel: Arc<Selection>,
    resume: Option<v1::KnownView>,
}

/// One view on one stream.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) number: u64,
    pub(super) caller: Arc<Caller>,
    pub(super) sel: Arc<Selection>,
    /// Those that share its frames.
    subscriptions: Vec<u32>,
    /// How it is to begin; none once it has.
    pub(super) pending: Option<Decision>,
    /// Those of the last frame.
    pub(super) cursor: u64,
    pub(super) digest: u64,
    pub(super) count: u64,
    pub(super) recovering: bool,
    /// When silence has lasted long enough.
    pub(super) progress_at: Instant,
    pub(super) holding: Holding,
}

/// After how long a Progress is due: 10 s ± 20 %.
pub(super) fn silence() -> Duration {
    Duration::from_millis(fastrand::u64(8_000..12_000))
}

impl Stream {
    pub(super) fn new(caller: Caller) -> Stream {
        Stream {
            caller: Arc::new(caller),
            adding: Vec::new(),
            removing: Vec::new(),
            watchers: Vec::new(),
            over: CancellationToken::new(),
        }
    }

    /// How many subscriptions a change would leave.
    fn count_after(&self, remove: &[u32], add: &[Subscription]) -> usize {
        let mut ids: Vec<u32> = self
            .watchers
            .iter()
            .flat_map(|w| &w.subscriptions)
            .copied()
            .chain(self.adding.iter().chain(add).map(|s| s.id))
            .filter(|id| !self.removing.contains(id) && !remove.contains(id))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    fn watcher_of(&mut self, view_id: u64) -> Option<&mut Watcher> {
        self.watchers.iter_mut().find(|w| w.sel.view_id == view_id)
    }

    /// Ends a subscription, and gives the watcher if that was its last.
    fn unsubscribe(&mut self, id: u32) -> Vec<Watcher> {
        for w in &mut self.watchers {
            w.subscriptions.retain(|other| *other != id);
        }
        let all = std::mem::take(&mut self.watchers);
        let (left, stay) = all.into_iter().partition(|w| w.subscriptions.is_empty());
        self.watchers = stay;
        left
    }
}

impl Core {
    /// Opens a stream, and gives its id and what ends it.
    pub(super) fn open(
        &mut self,
        request: v1::WatchRequest,
        caller: Caller,
    ) -> Result<(String, CancellationToken), Fault> {
        let wanted = &request.cluster_id;
        if !wanted.is_empty() && wanted != CLUSTER_ID {
            let text = format!("this server belongs to cluster {CLUSTER_ID}, not to {wanted}");
            return Err(Fault::new(ErrorReason::WrongCluster, text).with("cluster_id", CLUSTER_ID));
        }
        if request.subscriptions.is_empty() {
            return Err(Fault::invalid(
                "subscriptions: must hold at least one subscription",
            ));
        }
        let mut stream = Stream::new(caller);
        self.ask(&mut stream, &[], request.subscriptions)?;
        let (id, over) = (super::core::random_id(), stream.over.clone());
        self.streams.insert(id.clone(), stream);
        Ok((id, over))
    }

    /// Adds and removes subscriptions of an open stream.
    pub(super) fn update_watch(&mut self, request: v1::UpdateWatchRequest) -> Result<(), Fault> {
        let Some(mut stream) = self.streams.remove(&request.stream_id) else {
            return Err(stream_unknown());
        };
        let asked = self.ask(&mut stream, &request.remove, request.add);
        self.streams.insert(request.stream_id, stream);
        asked
    }

    /// Takes subscriptions for a stream, all or nothing.
    fn ask(
        &mut self,
        stream: &mut Stream,
        remove: &[u32],
        add: Vec<v1::Subscription>,
    ) -> Result<(), Fault> {
        at_most("subscriptions_per_stream", MAX_SUBSCRIPTIONS, add.len())?;
        let mut adding = Vec::new();
        for sub in add {
            adding.push(Subscription {
                id: sub.subscription_id,
                sel: Arc::new(Selection::compile(sub.selector)?),
                resume: sub.resume,
            });
        }
        let epoch = self.state.epoch;
        let ahead = |s: &Subscription| s.resume.is_some_and(|k| k.epoch > epoch);
        if adding.iter().any(ahead) {
            let text = "a resume position is of a later epoch than this server serves; try another \
                        server";
            return Err(Fault::new(ErrorReason::EpochBehind, text).with("epoch", epoch));
        }
        let count = stream.count_after(remove, &adding);
        at_most("subscriptions_per_stream", MAX_SUBSCRIPTIONS, count)?;
        stream.removing.extend(remove);
        stream.adding.extend(adding);
        self.dirty = true;
        Ok(())
    }

    /// The frames that bring a client up to date, and when to look again at the latest.
    pub(super) fn next(
        &mut self,
        stream_id: &str,
        now: Instant,
    ) -> (Vec<v1::WatchResponse>, Instant) {
        let mut due = now + Duration::from_secs(3_600);
        let Some(mut stream) = self.streams.remove(stream_id) else {
            return (Vec::new(), due); // it is over
        };
        let mut frames = Vec::new();
        if let Some(opened) = self.resubscribe(stream_id, &mut stream, now) {
            let frame = Some(Frame::Opened(opened));
            frames.push(v1::WatchResponse { frame });
        }
        for w in &mut stream.watchers {
            frames.extend(self.frames(w, now));
            due = due.min(w.progress_at);
        }
        self.streams.insert(stream_id.to_owned(), stream);
        (frames, due)
    }

    /// Does what UpdateWatch asked for, and answers it.
    fn resubscribe(
        &mut self,
        stream_id: &str,
        stream: &mut Stream,
        now: Instant,
    ) -> Option<v1::Opened> {
        let removing = std::mem::take(&mut stream.removing);
        let adding = std::mem::take(&mut stream.adding);
        let mut left: Vec<Watcher> = Vec::new();
        for id in removing {
            left.extend(stream.unsubscribe(id));
        }
        let mut answers = Vec::new();
        for sub in adding {
            left.extend(stream.unsubscribe(sub.id));
            answers.push(v1::OpenedSubscription {
                subscription_id: sub.id,
                view_id: sub.sel.view_id,
                ..Default::default()
            });
            self.subscribe(stream, sub, now);
        }
        for w in left {
            let next = stream.watcher_of(w.sel.view_id);
            self.left_view(&w, next);
        }
        (!answers.is_empty()).then(|| v1::Opened {
            stream_id: stream_id.to_owned(),
            cluster_id: CLUSTER_ID.into(),
            epoch: self.state.epoch,
            limits: Some(limits()),
            subscriptions: answers,
        })
    }

    /// Begins a subscription by the rules of resuming.
    fn subscribe(&mut self, stream: &mut Stream, sub: Subscription, now: Instant) {
        let digest = self.state.selected(&sub.sel).digest();
        let present = Present {
            epoch: self.state.epoch,
            revision: self.state.revision,
            view_id: sub.sel.view_id,
            digest: digest.sum,
            count: digest.count,
            logs_from: self.state.floor,
            last_change: self.state.last_change(&sub.sel),
        };
        let mut decision = decide_resume(&present, sub.resume.as_ref());
        let position = sub.resume.map_or(0, |k| k.revision);
        let view_id = sub.sel.view_id;
        if let Some(w) = stream.watcher_of(view_id) {
            let joins = decision == Decision::Progress && w.pending.is_none();
            if !joins || position != w.cursor {
                // Both share frames, and a delta from the one's position is a gap to the other:
                // begin anew for both.
                decision = Decision::Snapshot(SnapshotCause::First);
            }
        } else {
            let number = self.number();
            stream.watchers.push(Watcher {
                number,
                caller: stream.caller.clone(),
                sel: sub.sel,
                subscriptions: Vec::new(),
                pending: None,
                cursor: 0,
                digest: 0,
                count: 0,
                recovering: false,
                progress_at: now + silence(),
                holding: Holding::default(),
            });
        }
        let Some(w) = stream.watcher_of(view_id) else {
            return; // it is there
        };
        let snapshot = matches!(decision, Decision::Snapshot(_));
        w.subscriptions.push(sub.id);
        w.pending = Some(decision);
        if !snapshot {
            w.cursor = position;
        }
        w.holding.resumed(sub.resume.as_ref(), snapshot);
        self.join_drains(w, now);
    }
}

pub(super) fn stream_unknown() -> Fault {
    Fault::new(ErrorReason::StreamUnknown, "no such stream; reopen it")
}
