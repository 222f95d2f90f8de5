package muster

import (
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// world is a model of what a server knows: the latest of each entry.
type world struct {
	revision  uint64
	instances map[string]*musterv1.Instance
}

func (w *world) list() []*musterv1.Instance {
	keys := slices.Sorted(maps.Keys(w.instances))
	list := make([]*musterv1.Instance, len(keys))
	for i, k := range keys {
		list[i] = w.instances[k]
	}
	return list
}

func (w *world) header() *musterv1.ViewHeader { return header(1, w.revision, w.list(), nil) }

// step changes some entries and returns the net delta from before.
func (w *world) step(t *rapid.T) *musterv1.Delta {
	from, before := w.revision, maps.Clone(w.instances)
	for range rapid.IntRange(1, 6).Draw(t, "changes") {
		w.revision++
		id := string(rune('a' + rapid.IntRange(0, 9).Draw(t, "id")))
		if rapid.Bool().Draw(t, "remove") {
			delete(w.instances, id)
			continue
		}
		i := instance("pay", id)
		i.ModifyRevision, i.Tag = w.revision, rapid.Uint64().Draw(t, "tag")
		w.instances[id] = i
	}
	d := &musterv1.Delta{Header: w.header(), FromRevision: from}
	for id, i := range w.instances {
		if before[id].GetModifyRevision() != i.GetModifyRevision() {
			d.Instances = append(d.Instances, i)
		}
	}
	for id := range before {
		if w.instances[id] == nil {
			d.Removals = append(d.Removals, &musterv1.Removal{
				Kind: musterv1.EntryKind_ENTRY_KIND_INSTANCE, Reason: musterv1.RemovalReason_REMOVAL_REASON_EXPIRED,
				Key: &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: id},
			})
		}
	}
	return d
}

// chunks cuts a delta into frames.
func chunks(t *rapid.T, d *musterv1.Delta) []*musterv1.Delta {
	var frames []*musterv1.Delta
	size := rapid.IntRange(1, 4).Draw(t, "chunk")
	for part := range slices.Chunk(d.GetInstances(), size) {
		frames = append(frames, &musterv1.Delta{Header: d.GetHeader(), FromRevision: d.GetFromRevision(), Instances: part})
	}
	frames = append(frames, &musterv1.Delta{Header: d.GetHeader(), FromRevision: d.GetFromRevision(), Removals: d.GetRemovals()})
	for i, f := range frames {
		position := musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL
		if i == len(frames)-1 {
			position = musterv1.ChunkPosition_CHUNK_POSITION_FINAL
		}
		f.Chunk = &musterv1.Chunk{Index: uint32(i), Position: position}
	}
	return frames
}

// snapshotOf begins a view with a world.
func snapshotOf(w *world) *musterv1.Snapshot {
	return fakeregistry.Snapshot(w.header(), musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST, w.list(), nil).GetSnapshot()
}

// Whatever a correct server sends, in chunks of any size, the client holds what
// the server knows, after each complete update and not before.
func TestFramesFollowAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{revision: 10, instances: map[string]*musterv1.Instance{}}
		w.step(t)
		f := newFrameState()
		if r := f.snapshot(snapshotOf(w), nil, 0); r.Problem != "" {
			t.Fatalf("snapshot: %+v", r)
		}
		for range rapid.IntRange(0, 8).Draw(t, "steps") {
			before := f.instances()
			d := w.step(t)
			for _, c := range chunks(t, d) {
				if !slices.Equal(f.instances(), before) {
					t.Fatal("the view changed before the final chunk")
				}
				if r := f.delta(c); r.Problem != "" {
					t.Fatalf("delta: %+v", r)
				}
			}
			assertHolds(t, &f, w)
		}
	})
}

func assertHolds(t *rapid.T, f *frameState, w *world) {
	want := w.list()
	got := f.instances()
	if len(got) != len(want) {
		t.Fatalf("%d instances, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].ID != want[i].GetInstanceId() || got[i].ModifyRevision != want[i].GetModifyRevision() {
			t.Fatalf("instance %d is %v at %d, want %s at %d", i, got[i].Key, got[i].ModifyRevision, want[i].GetInstanceId(), want[i].GetModifyRevision())
		}
	}
	if f.Set().Digest != digestOf(f.Set()) {
		t.Fatal("the running digest differs from the digest of the set")
	}
}

// Whatever a broken server leaves out, repeats or reorders, the client either
// notices or holds the right set: never a wrong one in silence.
func TestFramesNeverHoldAWrongSetInSilence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{revision: 10, instances: map[string]*musterv1.Instance{}}
		w.step(t)
		f := newFrameState()
		if r := f.snapshot(snapshotOf(w), nil, 0); r.Problem != "" {
			t.Fatalf("snapshot: %+v", r)
		}
		before, _ := f.Known()
		frames := chunks(t, w.step(t))
		switch at := rapid.IntRange(0, len(frames)-1).Draw(t, "at"); rapid.IntRange(0, 4).Draw(t, "fault") {
		case 0: // a chunk is lost
			frames = slices.Delete(frames, at, at+1)
		case 1: // a chunk comes twice
			frames = slices.Insert(frames, at, frames[at])
		case 2: // two chunks change places
			other := rapid.IntRange(0, len(frames)-1).Draw(t, "other")
			frames[at], frames[other] = frames[other], frames[at]
		case 3: // an entry is lost
			frames[at] = proto.CloneOf(frames[at])
			frames[at].Instances, frames[at].Removals = frames[at].Instances[:0], nil
		case 4: // the delta starts elsewhere
			for _, c := range frames {
				c.FromRevision += rapid.Uint64Range(1, 9).Draw(t, "gap")
			}
		}
		for _, c := range frames {
			r := f.delta(c)
			if r.Problem != "" {
				if after := (rules.Known{Position: f.Position(), ViewID: f.ViewID(), Digest: f.Set().Digest, Count: before.Count}); after != before {
					t.Fatal("the view changed although the update was refused")
				}
				return
			}
			if r.Outcome == rules.FrameApplied {
				assertHolds(t, &f, w)
				before, _ = f.Known()
			}
		}
	})
}

// What may no longer be seen is not kept, not even while recovering.
func TestForbiddenServicesAreNotKeptAsUnconfirmed(t *testing.T) {
	w := &world{revision: 10, instances: map[string]*musterv1.Instance{"a": instance("pay", "a"), "b": instance("cart", "b")}}
	f := newFrameState()
	if r := f.snapshot(snapshotOf(w), nil, 0); r.Problem != "" {
		t.Fatalf("snapshot: %+v", r)
	}
	h := header(1, 3, nil, nil)
	h.Epoch, h.Flags = 8, []musterv1.ViewFlag{musterv1.ViewFlag_VIEW_FLAG_RECOVERING}
	next := fakeregistry.Snapshot(h, musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH, nil, nil).GetSnapshot()
	if r := f.snapshot(next, []ServiceName{{"shop", "cart"}}, 0); r.Problem != "" {
		t.Fatalf("snapshot: %+v", r)
	}
	if got := f.instances(); len(got) != 1 || got[0].Service != "pay" || !got[0].Unconfirmed {
		t.Errorf("kept %v", got)
	}
}

func FuzzFrames(f *testing.F) {
	w := &world{revision: 10, instances: map[string]*musterv1.Instance{"a": instance("pay", "a")}}
	seed := func(frames ...*musterv1.WatchResponse) {
		var b []byte
		for _, frame := range frames {
			m, err := proto.Marshal(frame)
			if err != nil {
				f.Fatal(err)
			}
			b = append(append(b, byte(len(m)), byte(len(m)>>8)), m...)
		}
		f.Add(b)
	}
	first := fakeregistry.Snapshot(w.header(), musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST, w.list(), nil)
	seed(first)
	seed(first, fakeregistry.Progress(w.header()))
	seed(first, &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Delta{Delta: &musterv1.Delta{
		Header: header(1, 11, nil, nil), Chunk: fakeregistry.Final(0), FromRevision: 10,
		Removals: []*musterv1.Removal{{Kind: 1, Key: &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: "a"}}},
	}}})
	f.Fuzz(func(t *testing.T, b []byte) {
		state := newFrameState()
		for len(b) >= 2 {
			size := min(int(b[0])|int(b[1])<<8, len(b)-2)
			var frame musterv1.WatchResponse
			if proto.Unmarshal(b[2:2+size], &frame) == nil && frame.GetOpened() == nil && frame.GetFrame() != nil {
				if r := applyFrame(&state, &frame); r.Outcome == rules.FrameApplied && state.Set().Digest != digestOf(state.Set()) {
					t.Fatal("a set was taken over whose digest is wrong")
				}
			}
			b = b[2+size:]
		}
		if !slices.IsSortedFunc(state.instances(), func(a, b *Instance) int { return compareKeys(a.Key, b.Key) }) {
			t.Fatal("the instances are not sorted")
		}
	})
}

// BenchmarkDelta is one changed instance in a view of 10,000.
func BenchmarkDelta(b *testing.B) {
	w := &world{revision: 10, instances: map[string]*musterv1.Instance{}}
	for i := range 10_000 {
		in := instance("pay", "pay-"+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676)))
		in.ModifyRevision = 10
		w.instances[in.GetInstanceId()] = in
	}
	f := newFrameState()
	if r := f.snapshot(snapshotOf(w), nil, 0); r.Problem != "" {
		b.Fatal(r)
	}
	in := proto.CloneOf(w.list()[5000])
	b.ReportAllocs()
	for b.Loop() {
		old := f.Set().Instances[5000]
		in.ModifyRevision++
		sum := f.Set().Digest - rules.EntryHash(1, entryKey(old.Key), old.ModifyRevision, old.tag) + rules.EntryHash(1, rules.EntryKey{Namespace: "shop", Service: "pay", ID: in.GetInstanceId()}, in.GetModifyRevision(), in.GetTag())
		d := &musterv1.Delta{
			Header: &musterv1.ViewHeader{ViewId: 1, Epoch: 7, Revision: f.position().Revision + 1, Digest: sum, Count: uint64(len(f.Set().Instances))},
			Chunk:  fakeregistry.Final(0), FromRevision: f.position().Revision, Instances: []*musterv1.Instance{in},
		}
		if r := f.delta(d); r.Problem != "" {
			b.Fatal(r)
		}
	}
}

func applyFrame(f *frameState, frame *musterv1.WatchResponse) rules.FrameResult {
	switch frame := frame.GetFrame().(type) {
	case *musterv1.WatchResponse_Snapshot:
		return f.snapshot(frame.Snapshot, nil, 0)
	case *musterv1.WatchResponse_Delta:
		return f.delta(frame.Delta)
	default:
		return f.progress(frame.(*musterv1.WatchResponse_Progress).Progress)
	}
}

// digestOf computes the digest of a set from nothing.
func digestOf(set rules.EntrySet[*Instance, *ServiceState]) (sum uint64) {
	for _, i := range set.Instances {
		sum += rules.EntryHash(rules.KindInstance, entryKey(i.Key), i.ModifyRevision, i.tag)
	}
	for _, s := range set.Services {
		sum += rules.EntryHash(rules.KindServiceState, serviceKey(s.ServiceName), s.ModifyRevision, s.tag)
	}
	return sum
}
