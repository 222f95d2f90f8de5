package mustertest

import (
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// chunkBytes is about how much a chunk holds at most.
const chunkBytes = 256 << 10

// frames are what a view is owed now: an update, a Progress or nothing.
func (r *Registry) frames(w *watcher, now time.Time) []*musterv1.WatchResponse {
	found := r.state.selected(w.sel)
	h := r.header(w.sel, found, now)
	recovering := r.recovering(now)
	d := difference{}
	if w.cursor >= r.state.floor {
		d = r.state.since(w.sel, w.cursor, recovering)
	}
	owed, ok := r.owed(w, h, d, now)
	if !ok {
		return nil
	}
	if w.wantAck && w.stream.caller.acks {
		h.AckRequest = &musterv1.AckRequest{}
	}
	from := w.cursor
	w.told(h, owed.kind)
	w.wantAck, w.pending, w.recovering, w.progressAt = false, nil, recovering, now.Add(silence())
	w.cursor, w.digest, w.count = h.GetRevision(), h.GetDigest(), h.GetCount()
	switch owed.kind {
	case kindSnapshot:
		var removed []*musterv1.Removal
		if recovering {
			removed = r.state.since(w.sel, 0, true).removals
		}
		return snapshots(h, owed.cause, found, removed)
	case kindDelta:
		return deltas(h, from, d)
	default:
		return []*musterv1.WatchResponse{{Frame: &musterv1.WatchResponse_Progress{Progress: &musterv1.Progress{Header: h}}}}
	}
}

// owed is what a view is owed, if anything.
func (r *Registry) owed(w *watcher, h *musterv1.ViewHeader, d difference, now time.Time) (decision, bool) {
	compacted := w.cursor < r.state.floor
	same := h.GetDigest() == w.digest && h.GetCount() == w.count
	switch {
	case w.pending != nil && w.pending.kind == kindDelta && d.empty():
		return decision{kind: kindProgress}, true // what changed is as it was
	case w.pending != nil:
		return *w.pending, true
	case compacted && !same:
		return decision{kindSnapshot, musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED}, true
	case !compacted && !d.empty():
		return decision{kind: kindDelta}, true
	}
	return decision{kind: kindProgress}, w.wantAck || !now.Before(w.progressAt) || w.recovering != r.recovering(now)
}

// snapshots are the chunks of a whole set.
func snapshots(h *musterv1.ViewHeader, cause musterv1.SnapshotCause, s set, removed []*musterv1.Removal) []*musterv1.WatchResponse {
	parts := split(s.instances)
	frames := make([]*musterv1.WatchResponse, len(parts))
	for n, part := range parts {
		snapshot := &musterv1.Snapshot{Header: h, Chunk: chunk(n, len(parts)), Cause: cause, Instances: part}
		if n == 0 {
			snapshot.Services, snapshot.Removed = s.services, removed
		}
		frames[n] = &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Snapshot{Snapshot: snapshot}}
	}
	return frames
}

// deltas are the chunks of a difference.
func deltas(h *musterv1.ViewHeader, from uint64, d difference) []*musterv1.WatchResponse {
	parts := split(d.instances)
	frames := make([]*musterv1.WatchResponse, len(parts))
	for n, part := range parts {
		delta := &musterv1.Delta{Header: h, Chunk: chunk(n, len(parts)), FromRevision: from, Instances: part}
		if n == 0 {
			delta.Services, delta.Removals = d.services, d.removals
		}
		frames[n] = &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Delta{Delta: delta}}
	}
	return frames
}

func chunk(index, of int) *musterv1.Chunk {
	position := musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL
	if index == of-1 {
		position = musterv1.ChunkPosition_CHUNK_POSITION_FINAL
	}
	return &musterv1.Chunk{Index: uint32(index), Position: position} //nolint:gosec // a handful
}

// split puts instances into chunks: at least one, which may be empty.
func split(instances []*musterv1.Instance) [][]*musterv1.Instance {
	parts, bytes := [][]*musterv1.Instance{nil}, 0
	for _, i := range instances {
		size := proto.Size(i)
		if bytes > 0 && bytes+size > chunkBytes {
			parts, bytes = append(parts, nil), 0
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], i)
		bytes += size
	}
	return parts
}
