package muster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/bench/payload"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestRemovals(t *testing.T) {
	removal := func(kind musterv1.EntryKind, id string) *musterv1.Removal {
		return &musterv1.Removal{Kind: kind, Key: &musterv1.InstanceKey{Namespace: "n", Service: "s", InstanceId: id}}
	}
	frame := payload.Encode(&musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Delta{Delta: &musterv1.Delta{
		Header:    &musterv1.ViewHeader{Revision: 1 << 40, Digest: 1 << 50},
		Instances: []*musterv1.Instance{payload.Instance("s", 4)},
		Removals: []*musterv1.Removal{
			removal(musterv1.EntryKind_ENTRY_KIND_INSTANCE, payload.InstanceID(7)),
			removal(musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE, ""),
			removal(musterv1.EntryKind_ENTRY_KIND_INSTANCE, payload.InstanceID(123_456)),
		},
	}}})
	var got []uint64
	if n := removals(frame, func(key uint64) { got = append(got, key) }); n != 2 {
		t.Errorf("%d removals, want 2", n)
	}
	if d := cmp.Diff([]uint64{7, 123_456}, got); d != "" {
		t.Error(d)
	}
	h := newHoldings(0, 10, &musterv1.Opened{Subscriptions: []*musterv1.OpenedSubscription{{SubscriptionId: 1, ViewId: 5}}})
	got = nil
	h.take(frame, func(key uint64) { got = append(got, key) })
	snapshot := payload.Encode(&musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Snapshot{Snapshot: &musterv1.Snapshot{
		Header: &musterv1.ViewHeader{ViewId: 5}, Chunk: &musterv1.Chunk{Position: musterv1.ChunkPosition_CHUNK_POSITION_FINAL},
	}}})
	h.take(snapshot, func(key uint64) { got = append(got, key) })
	// 7 is removed by the delta, 4 came with it and is not in the snapshot.
	if d := cmp.Diff([]uint64{7, 4}, got); d != "" || h.left != 8 {
		t.Errorf("%d are left: %s", h.left, d)
	}
	if n := removals(frame[:len(frame)/2], func(uint64) {}); n > 2 {
		t.Errorf("%d removals in half a frame", n)
	}
}
