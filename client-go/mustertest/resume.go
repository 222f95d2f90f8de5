package mustertest

import musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"

// present is what a resume is decided from: the registry's side of it.
type present struct {
	epoch, revision       uint64
	viewID, digest, count uint64
	// logsFrom is how far back the log reaches.
	logsFrom uint64
	// lastChange is the revision of the last change of the view.
	lastChange uint64
}

// kind is the form of a frame that begins a subscription.
type kind int

const (
	kindSnapshot kind = iota
	kindDelta
	kindProgress
	// kindEpochBehind ends the stream: the client knows a newer history.
	kindEpochBehind
)

// decision is how a subscription begins.
type decision struct {
	kind kind
	// cause of a snapshot.
	cause musterv1.SnapshotCause
}

// decideResume applies the first rule that fits (docs/protocol.md, section
// 2.9). The registry's view is always its newest. Pure.
func decideResume(p present, known *musterv1.KnownView) decision {
	snapshot := func(cause musterv1.SnapshotCause) decision { return decision{kindSnapshot, cause} }
	switch {
	case known == nil:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST)
	case known.GetEpoch() > p.epoch:
		return decision{kind: kindEpochBehind}
	case known.GetEpoch() < p.epoch:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH)
	case known.GetViewId() != p.viewID:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_SELECTOR_CHANGED)
	case known.GetRevision() > p.revision:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST)
	case known.GetRevision() >= p.logsFrom && known.GetRevision() < p.lastChange:
		return decision{kind: kindDelta}
	case known.GetRevision() >= p.logsFrom:
		return decision{kind: kindProgress}
	case known.GetDigest() == p.digest && known.GetCount() == p.count:
		return decision{kind: kindProgress}
	}
	return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED)
}
