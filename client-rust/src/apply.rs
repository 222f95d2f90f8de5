//! Applies a frame of a stream to what shows its view, and publishes the result.

use muster_proto::v1;

use crate::client::Shared;
use crate::error::Error;
use crate::event::{ChangeTrace, Event, FrameFault, FrameKind};
use crate::frame::{Broken, Gone, Outcome, Swap, isolated, recovering};
use crate::freshness::Timing;
use crate::kinds::{Position, SnapshotCause};
use crate::stream::{Content, WatchStream, violation};
use crate::view::{Flags, REMOVALS_KEPT, Removed, Source, TRACES_KEPT, View};
use crate::watch::{Staged, Track, Watch};

impl Content {
    fn header(&self) -> Option<&v1::ViewHeader> {
        match self {
            Content::Snapshot(s) => s.header.as_ref(),
            Content::Delta(d) => d.header.as_ref(),
            Content::Progress(p) => p.header.as_ref(),
        }
    }

    fn apply(self, track: &mut Track, now_ms: i64) -> Outcome {
        match self {
            Content::Snapshot(s) => track.frames.snapshot(s, &track.forbidden, now_ms),
            Content::Delta(d) => track.frames.delta(d),
            Content::Progress(p) => track.frames.progress(&p),
        }
    }

    fn kind(&self) -> FrameKind {
        match self {
            Content::Snapshot(_) => FrameKind::Snapshot,
            Content::Delta(_) => FrameKind::Delta,
            Content::Progress(_) => FrameKind::Progress,
        }
    }

    /// Adds what is told of it to what the chunks before it said.
    fn add_to(&self, staged: &mut Staged) {
        match self {
            Content::Snapshot(s) => {
                staged.entries += s.instances.len() + s.services.len() + s.removed.len();
            }
            Content::Delta(d) => {
                staged.entries += d.instances.len() + d.services.len() + d.removals.len();
                let traces = d.traces.iter().map(|t| ChangeTrace {
                    revision: t.revision,
                    traceparent: t.traceparent.clone(),
                });
                staged.traces.extend(traces);
            }
            Content::Progress(_) => {}
        }
    }

    /// A copy for one more of those who show the view; nearly always there is only one.
    fn copy(&self) -> Content {
        match self {
            Content::Snapshot(s) => Content::Snapshot(s.clone()),
            Content::Delta(d) => Content::Delta(d.clone()),
            Content::Progress(p) => Content::Progress(p.clone()),
        }
    }
}

impl WatchStream {
    /// Applies a frame to all who show its view. Frames of views that were not opened are ignored:
    /// they were under way before.
    pub(crate) fn update_view(&mut self, watch: &mut Watch, content: Content) -> Result<(), Error> {
        let Some(header) = content.header().cloned() else {
            self.tell_rejected(watch, "", FrameFault::Violation);
            return Err(violation(&self.lane, "a frame without header"));
        };
        let mut shown_by = self.shown_by(header.view_id);
        let Some(last) = shown_by.pop() else {
            return Ok(());
        };
        watch.heard(header.epoch);
        let now_ms = watch.shared.clock.now_ms();
        let timing = self
            .clock()
            .frame(now_ms, header.server_uptime_ms, header.data_age_ms);
        let mut complete = true;
        for id in &shown_by {
            complete &= self.update_one(watch, *id, content.copy(), &header, timing)?;
        }
        complete &= self.update_one(watch, last, content, &header, timing)?;
        if complete {
            shown_by.push(last);
            self.completed(watch, &header, &shown_by);
        }
        Ok(())
    }

    /// Applies a frame to one of those who show its view; false if it was only a part.
    fn update_one(
        &mut self,
        watch: &mut Watch,
        id: u32,
        content: Content,
        header: &v1::ViewHeader,
        timing: Timing,
    ) -> Result<bool, Error> {
        let shared = watch.shared.clone();
        let Some(track) = watch.tracks.get_mut(&id) else {
            return Ok(true);
        };
        let frame = content.kind();
        let mut staged = std::mem::take(&mut track.staged);
        content.add_to(&mut staged);
        match content.apply(track, timing.received_ms) {
            Outcome::Staged => {
                track.staged = staged;
                return Ok(false);
            }
            Outcome::Swapped(swap) => {
                note_verified(track, &swap);
                publish(track, header, timing, &swap, &staged, true);
                self.tell_applied(&shared, track, frame, swap.cause, &staged);
                shared.keep_on_disk(&track.watched);
            }
            Outcome::Moved(gone) => {
                let changed = !gone.is_empty();
                let swap = Swap { cause: None, gone };
                publish(track, header, timing, &swap, &staged, changed);
                self.tell_applied(&shared, track, frame, None, &staged);
                shared.keep_on_disk(&track.watched);
            }
            Outcome::Broken(broken) => return Err(self.broken(watch, id, broken)),
        }
        shared.watcher.set_failure(None);
        Ok(true)
    }

    /// Tells of the update that a view took over.
    fn tell_applied(
        &self,
        shared: &Shared,
        track: &Track,
        frame: FrameKind,
        cause: Option<SnapshotCause>,
        staged: &Staged,
    ) {
        let view = track.watched.view();
        shared.config.telemetry.view_published();
        shared.config.telemetry.observe(&Event::FrameApplied {
            selector: &track.watched.selector.to_string(),
            server: self.lane.address(),
            frame,
            cause,
            position: view.position(),
            entries: staged.entries,
            age: view.age(),
            unverified: track.frames.is_unverified(),
            traces: &staged.traces,
        });
    }

    fn tell_rejected(&self, watch: &Watch, selector: &str, fault: FrameFault) {
        let event = Event::FrameRejected {
            selector,
            server: self.lane.address(),
            fault,
        };
        watch.shared.config.telemetry.observe(&event);
    }

    /// An update is complete for all who show its view.
    fn completed(&mut self, watch: &Watch, header: &v1::ViewHeader, shown_by: &[u32]) {
        if let Some(wish) = &header.ack_request {
            let at = Position::new(header.epoch, header.revision);
            let watched = shown_by
                .iter()
                .filter_map(|id| watch.tracks.get(id))
                .map(|t| t.watched.clone())
                .collect();
            let word = watch.shared.config.word();
            self.acks()
                .want(header.view_id, at, wish.ack_spread_ms, watched, word);
        }
        self.note_isolated(watch, isolated(header));
    }

    /// A frame did not fit. The view stays as it is; one whose digest did not match counts as stale
    /// until it is replaced.
    fn broken(&self, watch: &Watch, id: u32, broken: Broken) -> Error {
        let selector = watch.tracks.get(&id).map(|t| &t.watched.selector);
        let selector = selector.map(ToString::to_string).unwrap_or_default();
        self.tell_rejected(watch, &selector, broken.fault());
        if !matches!(broken, Broken::Gap(_)) {
            watch.shared.servers.failed(self.lane.index());
        }
        if let (Broken::Mismatch(_), Some(track)) = (&broken, watch.tracks.get(&id)) {
            track.watched.publish(|v| v.distrusted = true);
        }
        let what = broken.text();
        violation(&self.lane, &format!("{what} ({selector})"))
    }
}

/// Arranges for an unverified view to be asked for again.
fn note_verified(track: &mut Track, swap: &Swap) {
    if !track.frames.is_unverified() {
        track.verified();
    } else if swap.cause.is_some() {
        track.retry_later();
    }
}

/// Makes a view of what the frames hold now.
fn publish(
    track: &Track,
    header: &v1::ViewHeader,
    timing: Timing,
    swap: &Swap,
    staged: &Staged,
    changed: bool,
) {
    let frames = &track.frames;
    track.watched.publish(|v| {
        v.timing = Some(timing);
        v.source = Source::Registry;
        v.position = Position::new(header.epoch, header.revision);
        v.view_id = header.view_id;
        v.digest = header.digest;
        v.count = header.count;
        v.flags = Flags {
            recovering: recovering(header),
            isolated: isolated(header),
        };
        v.unverified = frames.is_unverified();
        v.distrusted = false;
        v.forbidden = track.forbidden.clone();
        if changed {
            v.instances = frames.instances();
            v.services = frames.services();
        }
        if let Some(fixed) = &track.watched.fixed {
            fixed.add_to(v);
        }
        if let Some(cause) = swap.cause {
            v.snapshots += 1;
            v.last_cause = cause;
        }
        v.remember(&swap.gone);
        v.remember_traces(&staged.traces);
    });
}

impl View {
    /// Keeps why instances went, the newest last, up to a bound.
    fn remember(&mut self, gone: &[Gone]) {
        if gone.is_empty() {
            return;
        }
        let at = self.position;
        let new = gone.iter().map(|(key, reason)| Removed {
            key: key.clone(),
            reason: *reason,
            at,
        });
        let mut all: Vec<Removed> = self.removals.iter().cloned().chain(new).collect();
        let excess = all.len().saturating_sub(REMOVALS_KEPT);
        all.drain(..excess);
        self.removals = all.into();
    }

    /// Keeps the traces of changes, likewise.
    pub(crate) fn remember_traces(&mut self, traces: &[ChangeTrace]) {
        if traces.is_empty() {
            return;
        }
        let epoch = self.position.epoch;
        let new = traces.iter().map(|t| (epoch, t.clone()));
        let mut all: Vec<_> = self.traces.iter().cloned().chain(new).collect();
        let excess = all.len().saturating_sub(TRACES_KEPT);
        all.drain(..excess);
        self.traces = all.into();
    }

    /// Shows what another view of the same set shows.
    pub(crate) fn show(&mut self, other: &View) {
        let (selector, sequence) = (self.selector.clone(), self.sequence);
        let snapshots = self.snapshots + 1;
        *self = other.clone();
        self.selector = selector;
        self.sequence = sequence;
        self.snapshots = snapshots;
    }
}
