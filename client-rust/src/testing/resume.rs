//! How a subscription begins (docs/protocol.md, section 2.9). Pure.

use muster_proto::v1;
use muster_proto::v1::SnapshotCause;

/// What a resume is decided from: the registry's side of it.
pub(super) struct Present {
    pub(super) epoch: u64,
    pub(super) revision: u64,
    pub(super) view_id: u64,
    pub(super) digest: u64,
    pub(super) count: u64,
    /// How far back the log reaches.
    pub(super) logs_from: u64,
    /// The revision of the last change of the view.
    pub(super) last_change: u64,
}

/// How a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Snapshot(SnapshotCause),
    Delta,
    Progress,
    /// Ends the stream: the client knows a newer history.
    EpochBehind,
}

/// Applies the first rule that fits. The registry's view is always its newest.
pub(super) fn decide_resume(p: &Present, known: Option<&v1::KnownView>) -> Decision {
    let Some(known) = known else {
        return Decision::Snapshot(SnapshotCause::First);
    };
    if known.epoch > p.epoch {
        Decision::EpochBehind
    } else if known.epoch < p.epoch {
        Decision::Snapshot(SnapshotCause::NewEpoch)
    } else if known.view_id != p.view_id {
        Decision::Snapshot(SnapshotCause::SelectorChanged)
    } else if known.revision > p.revision {
        Decision::Snapshot(SnapshotCause::HistoryLost)
    } else if known.revision >= p.logs_from && known.revision < p.last_change {
        Decision::Delta
    } else if known.revision >= p.logs_from || (known.digest, known.count) == (p.digest, p.count) {
        Decision::Progress
    } else {
        Decision::Snapshot(SnapshotCause::HistoryCompacted)
    }
}
