package sim

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// watcher is a client that takes the protocol at its word.
type watcher struct {
	world *world
	name  string
	acks  bool

	mu       sync.Mutex
	wishes   map[uint32]wish
	views    map[uint32]*clientView
	nextID   uint32
	streamID string
	cancel   context.CancelFunc
	client   servertest.Clients
	gate     chan struct{} // nil: reads freely; else reads when it is closed
	alive    bool
	opened   time.Time
	ended    chan struct{}
}

// clientView is what a client holds of one subscription.
type clientView struct {
	wish    wish
	known   *musterv1.KnownView // nil: nothing
	set     map[string]held
	viewID  uint64 // 0: not opened on this stream
	first   bool   // the next update is the first on this stream
	lying   string // how the resume position was forged: "", "digest", "view", "ahead"
	chunks  uint32
	partial bool // more chunks of the update follow
	stage   map[string]held
	removed map[string]*musterv1.Removal
	header  *musterv1.ViewHeader
}

// held is an entry in a client's hands.
type held struct {
	seen
	pickable bool
}

func (w *watcher) add(x wish) uint32 {
	w.nextID++
	w.wishes[w.nextID] = x
	w.views[w.nextID] = &clientView{wish: x, set: map[string]held{}}
	return w.nextID
}

func (v *clientView) subscription(id uint32) *musterv1.Subscription {
	s := &musterv1.Subscription{SubscriptionId: id, Selector: v.wish.selector()}
	if v.known != nil {
		s.Resume = proto.CloneOf(v.known)
		switch v.lying {
		case "digest":
			s.Resume.Digest++
		case "view":
			s.Resume.ViewId++
		case "ahead":
			s.Resume.Revision += 1_000_000
		}
	}
	v.viewID, v.first, v.stage, v.removed, v.chunks, v.partial = 0, true, nil, nil, 0, false
	return s
}

// open starts a stream with all subscriptions, resuming each.
func (w *watcher) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alive || len(w.wishes) == 0 {
		return
	}
	w.client = w.world.dial()
	ctx, cancel := context.WithCancel(w.world.t.Context())
	if w.acks {
		ctx = metadata.AppendToOutgoingContext(ctx, "muster-features", "ack", "muster-client-name", w.name)
	}
	req := &musterv1.WatchRequest{}
	for _, id := range slices.Sorted(maps.Keys(w.views)) {
		req.Subscriptions = append(req.Subscriptions, w.views[id].subscription(id))
	}
	stream, err := w.client.Watch(ctx, req)
	if err != nil {
		cancel()
		return
	}
	w.cancel, w.alive, w.streamID, w.ended, w.opened = cancel, true, "", make(chan struct{}), time.Now()
	go w.read(stream)
}

type frames interface {
	Recv() (*musterv1.WatchResponse, error)
}

func (w *watcher) read(stream frames) {
	defer close(w.ended)
	for {
		w.mu.Lock()
		gate := w.gate
		w.mu.Unlock()
		if gate != nil {
			<-gate
		}
		f, err := stream.Recv()
		if err != nil {
			w.mu.Lock()
			w.alive = false
			w.mu.Unlock()
			return
		}
		w.take(f)
	}
}

// close ends the stream from the client's side and waits for its reader.
func (w *watcher) close() {
	w.mu.Lock()
	if !w.alive {
		w.mu.Unlock()
		return
	}
	w.cancel()
	ended := w.ended
	w.mu.Unlock()
	w.resume()
	<-ended
}

func (w *watcher) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gate == nil {
		w.gate = make(chan struct{})
	}
}

func (w *watcher) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gate != nil {
		close(w.gate)
		w.gate = nil
	}
}

// change adds and removes subscriptions on the open stream.
func (w *watcher) change(add *wish, remove uint32) {
	w.mu.Lock()
	if !w.alive || w.streamID == "" {
		w.mu.Unlock()
		return
	}
	req := &musterv1.UpdateWatchRequest{StreamId: w.streamID}
	if add != nil {
		id := w.add(*add)
		req.Add = append(req.Add, w.views[id].subscription(id))
	}
	if remove != 0 {
		delete(w.wishes, remove)
		delete(w.views, remove)
		req.Remove = append(req.Remove, remove)
	}
	client := w.client
	w.mu.Unlock()
	if _, err := client.UpdateWatch(w.world.t.Context(), req); err != nil {
		w.mu.Lock()
		w.cancel()
		w.mu.Unlock()
	}
}

// take applies one frame, and holds it to the rules.
func (w *watcher) take(f *musterv1.WatchResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch x := f.GetFrame().(type) {
	case *musterv1.WatchResponse_Opened:
		w.world.must("M2.1a", w.streamID == "" || w.streamID == x.Opened.GetStreamId(), "stream id changed")
		w.streamID = x.Opened.GetStreamId()
		for _, s := range x.Opened.GetSubscriptions() {
			if v := w.views[s.GetSubscriptionId()]; v != nil {
				w.world.must("M2.1a", s.GetRefusal() == nil && s.GetViewId() != 0, "subscription refused: %v", s)
				v.viewID = s.GetViewId()
			}
		}
	case *musterv1.WatchResponse_Snapshot:
		w.each(x.Snapshot.GetHeader(), func(v *clientView) { v.snapshot(w, x.Snapshot) })
	case *musterv1.WatchResponse_Delta:
		w.each(x.Delta.GetHeader(), func(v *clientView) { v.delta(w, x.Delta) })
	case *musterv1.WatchResponse_Progress:
		w.each(x.Progress.GetHeader(), func(v *clientView) { v.progress(w, x.Progress) })
	}
}

// each calls f for every subscription that the frame is for.
func (w *watcher) each(h *musterv1.ViewHeader, f func(*clientView)) {
	w.world.must("M2.1a", w.streamID != "", "a frame came before Opened")
	for _, v := range w.views {
		if v.viewID == h.GetViewId() {
			f(v)
		}
	}
	if h.GetAckRequest() != nil && w.acks {
		w.world.ackRequested(pendingAck{w, w.streamID, h})
	}
}

func (v *clientView) stageChunk(w *watcher, h *musterv1.ViewHeader, c *musterv1.Chunk) {
	if c.GetIndex() == 0 {
		w.world.must("M2.3f", !v.partial, "another update of the view between the chunks of one")
		v.stage, v.removed, v.chunks, v.header = map[string]held{}, map[string]*musterv1.Removal{}, 0, h
	}
	w.world.must("M2.2a", c.GetIndex() == v.chunks, "chunk %d, want %d", c.GetIndex(), v.chunks)
	w.world.must("M2.4a", proto.Equal(h, v.header), "chunks with different headers")
	v.chunks++
	v.partial = c.GetPosition() != musterv1.ChunkPosition_CHUNK_POSITION_FINAL
}

func (v *clientView) stageEntries(w *watcher, in []*musterv1.Instance, st []*musterv1.ServiceState) {
	put := func(k string, h held) {
		_, twice := v.stage[k]
		w.world.must("M2.5b", !twice, "%s occurs twice", k)
		v.stage[k] = h
	}
	for _, i := range in {
		put("/i/"+i.GetNamespace()+"/"+i.GetService()+"/"+i.GetInstanceId(), held{
			seen{i.GetModifyRevision(), i.GetTag()}, i.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_SERVING,
		})
	}
	for _, s := range st {
		put("/v/"+s.GetNamespace()+"/"+s.GetService(), held{seen{s.GetModifyRevision(), s.GetTag()}, false})
	}
}

func (v *clientView) snapshot(w *watcher, s *musterv1.Snapshot) {
	v.stageChunk(w, s.GetHeader(), s.GetChunk())
	v.stageEntries(w, s.GetInstances(), s.GetServices())
	if s.GetChunk().GetPosition() != musterv1.ChunkPosition_CHUNK_POSITION_FINAL {
		return
	}
	v.judgeCause(w, s)
	v.set = v.stage
	v.verify(w, s.GetHeader())
}

// judgeCause holds the reason of a snapshot to the resume table.
func (v *clientView) judgeCause(w *watcher, s *musterv1.Snapshot) {
	c, x := s.GetCause(), w.world
	if !v.first {
		x.must("M2.9a/compacted", c == musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED || c == musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST,
			"a snapshot amid the stream because of %v", c)
		return
	}
	for _, other := range w.views {
		if other != v && other.viewID == v.viewID && c == musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST {
			return // they share a cursor, and begin anew together
		}
	}
	switch {
	case v.known == nil:
		x.must("M2.9a/first", c == musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST, "nothing known: %v", c)
	case v.lying == "view":
		x.must("M2.9a/view", c == musterv1.SnapshotCause_SNAPSHOT_CAUSE_SELECTOR_CHANGED, "other view: %v", c)
	case v.lying == "ahead":
		x.must("M2.9a/ahead", c == musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST, "ahead of the registry: %v", c)
	default:
		x.must("M2.9a/compacted", c == musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED, "cause %v", c)
		same := s.GetHeader().GetDigest() == v.known.GetDigest() && s.GetHeader().GetCount() == v.known.GetCount()
		x.must("M2.9a/digest", !same || v.lying == "digest", "a snapshot of the very set that the client had")
	}
}

func (v *clientView) delta(w *watcher, d *musterv1.Delta) {
	w.world.must("M2.5a", d.GetFromRevision() == v.known.GetRevision(), "delta from %d, client at %d", d.GetFromRevision(), v.known.GetRevision())
	w.world.must("M2.5a", d.GetHeader().GetRevision() > v.known.GetRevision(), "delta to %d, client at %d", d.GetHeader().GetRevision(), v.known.GetRevision())
	v.stageChunk(w, d.GetHeader(), d.GetChunk())
	v.stageEntries(w, d.GetInstances(), d.GetServices())
	for _, r := range d.GetRemovals() {
		k := "/i/" + r.GetKey().GetNamespace() + "/" + r.GetKey().GetService() + "/" + r.GetKey().GetInstanceId()
		if r.GetKind() == musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE {
			k = "/v/" + r.GetKey().GetNamespace() + "/" + r.GetKey().GetService()
		}
		_, twice := v.stage[k]
		w.world.must("M2.5b", !twice && v.removed[k] == nil, "%s occurs twice", k)
		v.removed[k] = r
	}
	if d.GetChunk().GetPosition() != musterv1.ChunkPosition_CHUNK_POSITION_FINAL {
		return
	}
	next := maps.Clone(v.set)
	maps.Copy(next, v.stage)
	for k, r := range v.removed {
		_, had := v.set[k]
		w.world.must("M2.6a", had, "%s removed, which the client did not have", k)
		v.judgeRemoval(w, k, r, d.GetHeader().GetRevision())
		delete(next, k)
	}
	for k, h := range v.stage {
		w.world.must("M2.6a", v.set[k].seen != h.seen, "%s sent again unchanged", k)
	}
	v.set = next
	v.verify(w, d.GetHeader())
}

func (v *clientView) judgeRemoval(w *watcher, k string, r *musterv1.Removal, revision uint64) {
	s, _ := w.world.history.at(revision)
	if _, exists := s[k]; exists {
		w.world.must("M2.6b", r.GetReason() == musterv1.RemovalReason_REMOVAL_REASON_FILTERED_OUT, "%s exists, removed as %v", k, r.GetReason())
		return
	}
	want := w.world.history.lastRemoval(k, revision)
	w.world.must("M2.6b", r.GetReason() == want, "%s removed as %v, went as %v", k, r.GetReason(), want)
}

func (v *clientView) progress(w *watcher, p *musterv1.Progress) {
	w.world.must("M2.3f", !v.partial, "a Progress between the chunks of an update")
	w.world.must("M2.7a", p.GetHeader().GetRevision() >= v.known.GetRevision(), "progress to %d, client at %d", p.GetHeader().GetRevision(), v.known.GetRevision())
	v.verify(w, p.GetHeader())
}

// verify holds the client's set to the model's, and its digest to both.
func (v *clientView) verify(w *watcher, h *musterv1.ViewHeader) {
	x := w.world
	s, ok := x.history.at(h.GetRevision())
	x.must("M1.4a", ok, "revision %d was never committed", h.GetRevision())
	want := s.matching(v.wish)
	same := len(want) == len(v.set)
	got := map[string]seen{}
	for k, e := range v.set {
		got[k] = e.seen
		same = same && want[k] == e.seen
	}
	x.must("M2.12/set", same, "set at %d differs: got %v, want %v", h.GetRevision(), got, want)
	x.must("M3.2a", h.GetCount() == uint64(len(want)) && h.GetDigest() == digestOf(want), "digest or count at %d differ", h.GetRevision())
	if v.known != nil && !v.first {
		x.must("M2.12/order", h.GetRevision() >= v.known.GetRevision(), "revision fell from %d to %d", v.known.GetRevision(), h.GetRevision())
	}
	v.known = &musterv1.KnownView{Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: h.GetDigest(), Count: h.GetCount()}
	v.first, v.lying = false, ""
}
