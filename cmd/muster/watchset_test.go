package main

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// model is a server's view, and makes the frames that lead to it.
type model struct {
	revision  uint64
	instances map[string]*musterv1.Instance
}

func (m *model) header() *musterv1.ViewHeader {
	h := &musterv1.ViewHeader{Epoch: 7, Revision: m.revision, ViewId: 1}
	for _, i := range m.instances {
		h.Digest += instanceHash(i)
		h.Count++
	}
	return h
}

// step changes some instances at random and returns what a delta holds.
func (m *model) step(rt *rapid.T) (changed []*musterv1.Instance, removed []*musterv1.Removal) {
	ids := slices.Sorted(maps.Keys(m.instances))
	for _, id := range ids {
		if rapid.IntRange(0, 3).Draw(rt, "fate") == 0 {
			delete(m.instances, id)
			removed = append(removed, &musterv1.Removal{
				Kind: musterv1.EntryKind_ENTRY_KIND_INSTANCE, Reason: musterv1.RemovalReason_REMOVAL_REASON_EXPIRED,
				Key: &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: id},
			})
		}
	}
	for range rapid.IntRange(0, 4).Draw(rt, "changes") {
		m.revision++
		id := fmt.Sprintf("pay-%d", rapid.IntRange(0, 9).Draw(rt, "id"))
		i := &musterv1.Instance{
			Namespace: "shop", Service: "pay", InstanceId: id,
			ModifyRevision: m.revision, Tag: rapid.Uint64().Draw(rt, "tag"),
		}
		m.instances[id] = i
		changed = slices.DeleteFunc(changed, func(c *musterv1.Instance) bool { return c.GetInstanceId() == id })
		removed = slices.DeleteFunc(removed, func(r *musterv1.Removal) bool { return r.GetKey().GetInstanceId() == id })
		changed = append(changed, i)
	}
	m.revision++
	return changed, removed
}

// chunks cuts instances into frames of at most two.
func chunks(instances []*musterv1.Instance, frame func(part []*musterv1.Instance, c *musterv1.Chunk) *musterv1.WatchResponse) []*musterv1.WatchResponse {
	var frames []*musterv1.WatchResponse
	for index := uint32(0); ; index++ {
		n := min(len(instances), 2)
		c := &musterv1.Chunk{Index: index, Position: musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL}
		if n == len(instances) {
			c.Position = musterv1.ChunkPosition_CHUNK_POSITION_FINAL
		}
		frames = append(frames, frame(instances[:n], c))
		if instances = instances[n:]; len(instances) == 0 {
			return frames
		}
	}
}

func (m *model) snapshot() []*musterv1.WatchResponse {
	var all []*musterv1.Instance
	for _, id := range slices.Sorted(maps.Keys(m.instances)) {
		all = append(all, m.instances[id])
	}
	return chunks(all, func(part []*musterv1.Instance, c *musterv1.Chunk) *musterv1.WatchResponse {
		return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Snapshot{Snapshot: &musterv1.Snapshot{
			Header: m.header(), Chunk: c, Cause: musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST, Instances: part,
		}}}
	})
}

func (m *model) delta(from uint64, changed []*musterv1.Instance, removed []*musterv1.Removal) []*musterv1.WatchResponse {
	frames := chunks(changed, func(part []*musterv1.Instance, c *musterv1.Chunk) *musterv1.WatchResponse {
		return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Delta{Delta: &musterv1.Delta{
			Header: m.header(), Chunk: c, FromRevision: from, Instances: part,
		}}}
	})
	frames[len(frames)-1].GetDelta().Removals = removed
	return frames
}

// replay is what somebody knows who saw only the changes.
func replay(seen map[string]*musterv1.Instance, changes []change) error {
	for _, c := range changes {
		id := c.instance.GetInstanceId()
		switch c.kind {
		case changeAdded:
			if seen[id] != nil {
				return fmt.Errorf("%s was added twice", id)
			}
			seen[id] = c.instance
		case changeChanged:
			if seen[id] == nil || seen[id].GetTag() != c.before.GetTag() {
				return fmt.Errorf("%s changed from something else", id)
			}
			seen[id] = c.instance
		case changeRemoved:
			if seen[id] == nil {
				return fmt.Errorf("%s was removed and was not there", id)
			}
			delete(seen, id)
		}
	}
	return nil
}

// Whatever frames lead from one set to the next, the changes shown lead there
// too, and nothing is shown before an update is whole.
func TestChangesLeadToTheSet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{revision: 1, instances: map[string]*musterv1.Instance{}}
		v, seen := &viewSet{set: newEntries()}, map[string]*musterv1.Instance{}
		for step := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			from := m.revision
			changed, removed := m.step(rt)
			frames := m.snapshot()
			if step > 0 && rapid.Bool().Draw(rt, "delta") {
				frames = m.delta(from, changed, removed)
			}
			for n, f := range frames {
				changes, err := v.apply(f)
				if err != nil {
					rt.Fatal(err)
				}
				if n < len(frames)-1 && len(changes) > 0 {
					rt.Fatalf("shown before it is whole: %v", changes)
				}
				if err := replay(seen, changes); err != nil {
					rt.Fatal(err)
				}
			}
			if diff := cmp.Diff(m.instances, seen, protocmp.Transform()); diff != "" {
				rt.Fatalf("seen (-server +seen):\n%s", diff)
			}
		}
	})
}

func TestBrokenFramesAreRefused(t *testing.T) {
	start := func() (*model, *viewSet) {
		m := &model{revision: 5, instances: map[string]*musterv1.Instance{
			"pay-1": {Namespace: "shop", Service: "pay", InstanceId: "pay-1", ModifyRevision: 5, Tag: 1},
		}}
		v := &viewSet{set: newEntries()}
		if _, err := v.apply(m.snapshot()[0]); err != nil {
			t.Fatal(err)
		}
		return m, v
	}
	progress := func(h *musterv1.ViewHeader) *musterv1.WatchResponse {
		return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Progress{Progress: &musterv1.Progress{Header: h}}}
	}
	tests := []struct {
		name  string
		frame func(*model) *musterv1.WatchResponse
	}{
		{"a delta from elsewhere", func(m *model) *musterv1.WatchResponse {
			m.revision = 7
			return m.delta(6, nil, nil)[0]
		}},
		{"a delta whose digest is wrong", func(m *model) *musterv1.WatchResponse {
			m.revision = 6
			f := m.delta(5, nil, nil)[0]
			f.GetDelta().Header.Digest++
			return f
		}},
		{"a delta whose count is wrong", func(m *model) *musterv1.WatchResponse {
			m.revision = 6
			f := m.delta(5, nil, nil)[0]
			f.GetDelta().Header.Count++
			return f
		}},
		{"a delta that lost a change", func(m *model) *musterv1.WatchResponse {
			m.revision = 6
			m.instances["pay-1"] = &musterv1.Instance{Namespace: "shop", Service: "pay", InstanceId: "pay-1", ModifyRevision: 6, Tag: 2}
			return m.delta(5, nil, nil)[0]
		}},
		{"progress over a set that is not ours", func(m *model) *musterv1.WatchResponse {
			h := m.header()
			h.Digest++
			return progress(h)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, v := start()
			if changes, err := v.apply(tt.frame(m)); err == nil {
				t.Errorf("taken over: %v", changes)
			}
			if v.header.GetRevision() != 5 {
				t.Errorf("the set moved on to revision %d", v.header.GetRevision())
			}
		})
	}
	if _, err := (&viewSet{set: newEntries()}).apply(progress(&musterv1.ViewHeader{})); err == nil {
		t.Error("progress before any set was taken over")
	}
}
