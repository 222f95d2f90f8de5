//! The watch task: keeps one stream open that carries everything a client watches.
//!
//! It is the only one who applies frames and publishes views. It opens one stream after the other
//! (`stream`) for as long as there are selectors; what it holds of each survives its streams, so
//! that the next one continues where the last one ended, at any server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_proto::v1;
use muster_rules::defaults;
use tokio::time::{Instant, sleep};

use crate::backoff::{self, Backoff};
use crate::client::Shared;
use crate::error::{Error, Reason};
use crate::event::{ChangeTrace, Event};
use crate::frame::FrameState;
use crate::instance::ServiceName;
use crate::keeper::first_reconnect;
use crate::messages;
use crate::selector::Selector;
use crate::servers::Lane;
use crate::stream::{Ended, WatchStream};
use crate::watched::{Held, Watched};
use crate::watcher::WatchLane;

/// What the task holds of one selector.
pub(crate) struct Track {
    pub(crate) watched: Arc<Watched>,
    pub(crate) frames: FrameState,
    /// What the chunks so far say of an update that is not complete.
    pub(crate) staged: Staged,
    pub(crate) forbidden: Arc<[ServiceName]>,
    /// The cluster of the position that the frames have from disk, until it was compared with the
    /// registry's.
    disk_cluster: Option<String>,
    /// When a view that was taken unverified is asked for again.
    pub(crate) retry_at: Option<Instant>,
    retry_delay: Duration,
}

/// What is told of an update besides what it does: of all its chunks.
#[derive(Default, Clone)]
pub(crate) struct Staged {
    pub(crate) entries: usize,
    pub(crate) traces: Vec<ChangeTrace>,
}

impl Track {
    /// Begins with what was found on disk, if there was something.
    fn begin(watched: Arc<Watched>) -> Track {
        let mut track = Track {
            frames: FrameState::default(),
            staged: Staged::default(),
            forbidden: Arc::new([]),
            disk_cluster: None,
            retry_at: None,
            retry_delay: Duration::ZERO,
            watched,
        };
        if let Some(disk) = track.watched.take_disk() {
            track.frames = disk.frames;
            track.forbidden = disk.forbidden;
            track.disk_cluster = Some(disk.cluster_id);
        }
        if let Some(held) = track.watched.take_held() {
            track.frames = held.frames;
            track.forbidden = held.forbidden;
            track.disk_cluster = held.disk_cluster;
        }
        track
    }

    /// A view was taken unverified: ask for it again after a while.
    pub(crate) fn retry_later(&mut self) {
        self.retry_delay = (self.retry_delay * 2)
            .clamp(defaults::UNVERIFIED_RETRY, defaults::UNVERIFIED_RETRY_CAP);
        self.retry_at = Some(Instant::now() + self.retry_delay);
    }

    /// A view was verified.
    pub(crate) fn verified(&mut self) {
        self.retry_at = None;
        self.retry_delay = Duration::ZERO;
    }
}

/// The state of the task.
pub(crate) struct Watch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) lane: Arc<WatchLane>,
    /// By subscription id. Exactly what is wanted, since the last look.
    pub(crate) tracks: BTreeMap<u32, Track>,
    /// The version of what is wanted at that look.
    synced: u64,
    /// The highest epoch that was seen and not given up.
    epoch: u64,
    /// A server opened a stream, so that `epoch` is not only from disk.
    answered: bool,
    /// When a server of that epoch answered last.
    last_good: Instant,
    retries: Backoff,
    /// A server refused several subscriptions together, so they are asked for one by one to find
    /// the one that it means.
    pub(crate) one_by_one: bool,
}

/// Runs until the client closes. Nothing has to be said to the registry then: it sees the stream end.
pub(crate) async fn run(shared: Arc<Shared>, lane: Arc<WatchLane>, epoch: u64) {
    let closing = shared.watcher.closing();
    closing
        .run_until_cancelled_owned(serve(shared, lane, epoch))
        .await;
}

async fn serve(shared: Arc<Shared>, lane: Arc<WatchLane>, epoch: u64) {
    let mut watch = Watch {
        tracks: BTreeMap::new(),
        synced: 0,
        epoch,
        answered: false,
        last_good: Instant::now(),
        retries: Backoff::default(),
        one_by_one: false,
        shared,
        lane,
    };
    loop {
        let lane = watch.lane.clone();
        watch.shared.watcher.wait_for_selectors(&lane).await;
        let ended = match watch.open(None).await {
            Ok(Some(stream)) => watch.follow(stream).await,
            Ok(None) => Ok(()),
            Err(e) => Err(e),
        };
        if let Err(e) = ended {
            watch.broke(e).await;
        }
    }
}

impl Watch {
    /// Serves a stream, and its successors when it is left by choice, to the end. The successor is
    /// opened before the stream is left, so that nobody goes unwatched in between.
    async fn follow(&mut self, mut stream: WatchStream) -> Result<(), Error> {
        stream.take_over(self);
        loop {
            let began = stream.began;
            let ended = stream.run(self).await;
            if !matches!(ended, Ok(Ended::Handover)) {
                self.retries.stream_ended(stream.delivered, began.elapsed());
                let ended = ended.map(|_| ());
                stream.tell_end(&self.shared, &ended);
                return ended;
            }
            let left = (stream.lane.index(), stream.isolated);
            match self.open(Some(left)).await {
                Ok(Some(next)) if !stream.isolated || next.lane.index() != stream.lane.index() => {
                    stream.tell_end(&self.shared, &Ok(()));
                    stream = next;
                    stream.take_over(self);
                }
                Ok(Some(next)) => {
                    next.tell_end(&self.shared, &Ok(()));
                    stream.stay(self);
                }
                _ => stream.stay(self),
            }
        }
    }

    /// A stream broke: the views come from memory until the next one.
    async fn broke(&mut self, e: Error) {
        tracing::warn!("{}", messages::broken("watch", &e));
        self.shared.watcher.set_failure(Some(e.clone()));
        for track in self.tracks.values() {
            track.watched.lost_stream();
        }
        let wait = self.delay();
        let wait = sleep(wait.max(e.retry_after().unwrap_or_default()));
        tokio::pin!(wait);
        // Not for what nobody wants any more.
        while self.shared.watcher.count_of(&self.lane) > 0 {
            tokio::select! {
                () = &mut wait => return,
                () = self.lane.woken() => {}
            }
        }
    }

    /// How long to wait after a stream that ended: at first only so long that the clients of a server
    /// that stopped do not come all at once.
    fn delay(&mut self) -> Duration {
        let word = self.shared.config.word();
        let first = self.retries.is_fresh();
        let wait = self.retries.next(backoff::CAP, word);
        if first { first_reconnect(word) } else { wait }
    }

    /// The server of the next stream: another one if the one that is left cannot reach its store,
    /// the next in turn if it is left by choice.
    async fn choose(&self, left: Option<(usize, bool)>) -> Result<Lane, Error> {
        let servers = &self.shared.servers;
        match left {
            None => servers.acquire(None).await,
            Some((index, true)) => servers.acquire(Some(index)).await,
            Some((index, false)) => servers.handover(index).await,
        }
    }

    /// Gives what is more than the server takes on one stream to other tasks.
    fn limit(&mut self, per_stream: usize) {
        let watcher = &self.shared.watcher;
        let more = watcher.limit(&self.lane, per_stream);
        for watched in &more {
            if let Some(track) = self.tracks.remove(&watched.id) {
                watched.hand_over(Held {
                    frames: track.frames,
                    forbidden: track.forbidden,
                    disk_cluster: track.disk_cluster,
                });
            }
        }
        watcher.place(&self.shared, more, self.epoch);
    }

    /// Opens a stream and waits for its first frame. `left` is the server of the stream that is left
    /// for it by choice, and whether that cannot reach its store. There is neither stream nor error if what is
    /// wanted should be looked at again.
    async fn open(&mut self, left: Option<(usize, bool)>) -> Result<Option<WatchStream>, Error> {
        let lane = self.choose(left).await?;
        self.limit(lane.connection.subscriptions_per_stream());
        self.sync_tracks();
        let mut ids: Vec<u32> = self.tracks.keys().copied().collect();
        if self.one_by_one {
            ids.truncate(1);
        }
        if ids.is_empty() {
            return Ok(None);
        }
        let request = v1::WatchRequest {
            subscriptions: ids.iter().filter_map(|id| self.subscription(*id)).collect(),
            cluster_id: self.shared.servers.cluster_id(),
        };
        let opened = match WatchStream::open(&self.shared, lane.clone(), request).await {
            Ok(stream) => {
                let checked = self.check_epoch(&lane, &stream);
                if checked.is_err() {
                    stream.tell_end(&self.shared, &checked);
                }
                checked.map(|()| stream)
            }
            Err(e) => Err(e),
        };
        match opened {
            Ok(stream) => Ok(Some(stream)),
            Err(e) => self.not_opened(&lane, &ids, e).map(|()| None),
        }
    }

    /// Makes the tracks what is wanted now.
    pub(crate) fn sync_tracks(&mut self) {
        let version = self.shared.watcher.version();
        if version == self.synced {
            return;
        }
        self.synced = version;
        let wanted = self.shared.watcher.wanted_of(&self.lane);
        self.tracks
            .retain(|id, _| wanted.binary_search_by_key(id, |w| w.id).is_ok());
        for watched in wanted {
            self.tracks
                .entry(watched.id)
                .or_insert_with(|| Track::begin(watched));
        }
    }

    /// Decides whether a position from disk is continued: not if it is of another cluster, or of an
    /// epoch above that of a server that serves us.
    fn check_disk(&mut self, id: u32) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return;
        };
        let Some(cluster_id) = track.disk_cluster.take() else {
            return;
        };
        let epoch = track.frames.known().map_or(0, |known| known.epoch);
        let higher = self.answered && epoch > self.epoch;
        if cluster_id != self.shared.servers.cluster_id() || higher {
            track.frames = FrameState::default();
        } else {
            self.epoch = self.epoch.max(epoch);
        }
    }

    /// What to ask for a selector, from its own position.
    pub(crate) fn subscription(&mut self, id: u32) -> Option<v1::Subscription> {
        self.check_disk(id);
        let track = self.tracks.get(&id)?;
        let mut resume = track.frames.known();
        // A server of a lower epoch would refuse the position of a higher one.
        if let Some(known) = &resume
            && (known.epoch > self.epoch || known.epoch == self.epoch && self.accepts_lower())
        {
            resume = None;
        }
        Some(v1::Subscription {
            subscription_id: id,
            selector: track.watched.asked.as_ref().map(Selector::to_wire),
            resume,
        })
    }

    /// Whether a lower epoch is better than nothing by now.
    fn accepts_lower(&self) -> bool {
        self.epoch > 0 && self.last_good.elapsed() >= defaults::LOWER_EPOCH_AFTER
    }

    /// Refuses servers of another cluster, or of an older history than was seen.
    fn check_epoch(&mut self, lane: &Lane, stream: &WatchStream) -> Result<(), Error> {
        let (cluster_id, epoch) = stream.who();
        self.shared
            .servers
            .check_cluster(lane.address(), cluster_id)?;
        if epoch < self.epoch {
            let text = messages::epoch_behind(lane.address(), epoch, self.epoch);
            if !self.accepts_lower() {
                let error = Error::new(Reason::EpochBehind, text).about("watch", "");
                return Err(error.at(lane.address()));
            }
            let event = Event::EpochRegressed {
                server: lane.address(),
                from: self.epoch,
                to: epoch,
            };
            self.shared.config.telemetry.observe(&event);
            tracing::error!("{text}; accepted, nothing else answers");
        }
        self.epoch = epoch;
        self.answered = true;
        self.last_good = Instant::now();
        Ok(())
    }

    /// A frame of this epoch arrived.
    pub(crate) fn heard(&mut self, epoch: u64) {
        self.epoch = self.epoch.max(epoch);
        self.last_good = Instant::now();
    }

    /// Decides what a refused stream means: for a single subscription its end, for several that
    /// they are asked for one by one.
    fn not_opened(&mut self, lane: &Lane, ids: &[u32], e: Error) -> Result<(), Error> {
        if !is_refusal(&e) {
            self.shared.servers.blame(lane.index(), &e);
            return Err(e);
        }
        match ids {
            [id] => self.refuse(*id, e),
            _ => self.one_by_one = true,
        }
        Ok(())
    }

    /// Ends a selector for good.
    pub(crate) fn refuse(&mut self, id: u32, e: Error) {
        if let Some(track) = self.tracks.remove(&id) {
            self.shared.watcher.refuse(&track.watched, e);
        }
    }
}

/// Whether an error means the subscription and not the server.
pub(crate) fn is_refusal(e: &Error) -> bool {
    matches!(
        e.reason(),
        Reason::InvalidArgument
            | Reason::LimitExceeded
            | Reason::Forbidden
            | Reason::FeatureNotServed
    )
}
