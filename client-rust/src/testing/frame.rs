//! The frames of a view.

use std::sync::Arc;

use muster_proto::v1;
use muster_proto::v1::watch_response::Frame;
use muster_proto::v1::{ChunkPosition, SnapshotCause};
use prost::Message;
use tokio::time::Instant;

use super::core::Core;
use super::resume::Decision;
use super::stream::{Watcher, silence};
use super::view::{Difference, Found};

/// About how much a chunk holds at most.
const CHUNK_BYTES: usize = 256 << 10;

impl Core {
    /// What a view is owed now: an update, a Progress or nothing.
    pub(super) fn frames(&self, w: &mut Watcher, now: Instant) -> Vec<v1::WatchResponse> {
        let found = self.state.selected(&w.sel);
        let mut header = self.header(&w.sel, &found, now);
        let recovering = self.is_recovering(now);
        let reaches = w.cursor >= self.state.floor;
        let d = if reaches {
            self.state.since(&w.sel, w.cursor, recovering)
        } else {
            Difference::default()
        };
        let Some(owed) = self.owed(w, &header, &d, now) else {
            return Vec::new();
        };
        if w.holding.want_ack && w.caller.acks {
            header.ack_request = Some(v1::AckRequest::default());
        }
        let from = w.cursor;
        let snapshot = matches!(owed, Decision::Snapshot(_));
        w.holding.told(header.revision, snapshot);
        w.holding.want_ack = false;
        (w.pending, w.recovering, w.progress_at) = (None, recovering, now + silence());
        (w.cursor, w.digest, w.count) = (header.revision, header.digest, header.count);
        match owed {
            Decision::Snapshot(cause) => {
                let mut removed = Vec::new();
                if recovering {
                    removed = self.state.since(&w.sel, 0, true).removals;
                }
                snapshots(&header, cause, &found, &removed)
            }
            Decision::Delta => deltas(&header, from, &d),
            Decision::Progress | Decision::EpochBehind => {
                let header = Some(header);
                vec![v1::WatchResponse {
                    frame: Some(Frame::Progress(v1::Progress { header })),
                }]
            }
        }
    }

    /// What a view is owed, if anything.
    fn owed(
        &self,
        w: &Watcher,
        header: &v1::ViewHeader,
        d: &Difference,
        now: Instant,
    ) -> Option<Decision> {
        let compacted = w.cursor < self.state.floor;
        let same = (header.digest, header.count) == (w.digest, w.count);
        match w.pending {
            // What changed is as it was.
            Some(Decision::Delta) if d.is_empty() => Some(Decision::Progress),
            Some(pending) => Some(pending),
            None if compacted && !same => Some(Decision::Snapshot(SnapshotCause::HistoryCompacted)),
            None if !compacted && !d.is_empty() => Some(Decision::Delta),
            None => {
                let flag_changed = w.recovering != self.is_recovering(now);
                let due = w.holding.want_ack || w.progress_at <= now || flag_changed;
                due.then_some(Decision::Progress)
            }
        }
    }
}

/// The chunks of a whole set.
fn snapshots(
    header: &v1::ViewHeader,
    cause: SnapshotCause,
    found: &Found,
    removed: &[v1::Removal],
) -> Vec<v1::WatchResponse> {
    let parts = split(&found.instances);
    let of = parts.len();
    let frame = |(n, part): (usize, Vec<v1::Instance>)| {
        let mut snapshot = v1::Snapshot {
            header: Some(header.clone()),
            chunk: Some(chunk(n, of)),
            cause: cause as i32,
            instances: part,
            ..Default::default()
        };
        if n == 0 {
            snapshot.services = found.services.iter().map(|s| (**s).clone()).collect();
            snapshot.removed = removed.to_vec();
        }
        v1::WatchResponse {
            frame: Some(Frame::Snapshot(snapshot)),
        }
    };
    parts.into_iter().enumerate().map(frame).collect()
}

/// The chunks of a difference.
fn deltas(header: &v1::ViewHeader, from_revision: u64, d: &Difference) -> Vec<v1::WatchResponse> {
    let parts = split(&d.found.instances);
    let of = parts.len();
    let frame = |(n, part): (usize, Vec<v1::Instance>)| {
        let mut delta = v1::Delta {
            header: Some(header.clone()),
            chunk: Some(chunk(n, of)),
            from_revision,
            instances: part,
            ..Default::default()
        };
        if n == 0 {
            delta.services = d.found.services.iter().map(|s| (**s).clone()).collect();
            delta.removals.clone_from(&d.removals);
        }
        v1::WatchResponse {
            frame: Some(Frame::Delta(delta)),
        }
    };
    parts.into_iter().enumerate().map(frame).collect()
}

fn chunk(index: usize, of: usize) -> v1::Chunk {
    let position = if index + 1 == of {
        ChunkPosition::Final
    } else {
        ChunkPosition::Partial
    };
    v1::Chunk {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        position: position as i32,
    }
}

/// Puts instances into chunks: at least one, which may be empty.
fn split(instances: &[Arc<v1::Instance>]) -> Vec<Vec<v1::Instance>> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for i in instances {
        let size = i.encoded_len();
        if bytes > 0 && bytes + size > CHUNK_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        part.push(v1::Instance::clone(i));
        bytes += size;
    }
    parts.push(part);
    parts
}
