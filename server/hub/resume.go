package hub

import (
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// resumeState is what a resume is decided from: the server's side of it.
type resumeState struct {
	epoch, revision       uint64
	viewID, digest, count uint64
	// reaches tells whether the logs reach back to the client's revision.
	reaches bool
	// changed is the revision of the last change that the view shows.
	changed uint64
}

// decision is how a subscription begins.
type decision struct {
	kind  updateKind
	cause musterv1.SnapshotCause
	// same tells that the client's set is the present one by its digest,
	// whatever lies between the revisions.
	same bool
	// epochBehind means that the client knows a newer history.
	epochBehind bool
}

// decideResume is the resume table (docs/protocol.md, "Resume"); the first rule
// that fits wins. The caller has made sure that its view is current if the
// client's revision is above it.
func decideResume(s resumeState, r *musterv1.KnownView) decision {
	snapshot := func(c musterv1.SnapshotCause) decision { return decision{kind: snapshotUpdate, cause: c} }
	switch {
	case r == nil:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST)
	case r.GetEpoch() > s.epoch:
		return decision{epochBehind: true}
	case r.GetEpoch() < s.epoch:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH)
	case r.GetViewId() != s.viewID:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_SELECTOR_CHANGED)
	case r.GetRevision() > s.revision:
		return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST)
	case s.reaches && s.changed > r.GetRevision():
		return decision{kind: deltaUpdate}
	case s.reaches:
		return decision{kind: progressUpdate}
	case r.GetDigest() == s.digest && r.GetCount() == s.count:
		return decision{kind: progressUpdate, same: true}
	}
	return snapshot(musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED)
}
