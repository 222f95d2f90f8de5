package hub

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// world is a hub under random changes, and clients that take its frames.
type world struct {
	t       *rapid.T
	hub     *Hub
	builder *view.Builder
	views   map[uint64]*view.View
	state   map[string]store.Entry
	now     time.Time
	clients []*client
	// complete are the barriers that were found complete.
	complete map[*drain]bool
	// batches are what the senders hold, if there are any: see push_test.go.
	batches [][]delivery
}

const leaseID = "l"

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, builder: view.NewBuilder(), views: map[uint64]*view.View{}, state: map[string]store.Entry{}, complete: map[*drain]bool{}, now: start.Add(time.Hour),
		hub: New(Options{
			ClusterID: "c", Started: start, History: rapid.IntRange(1, 100).Draw(t, "history"),
			Limits: &musterv1.Limits{SubscriptionsPerStream: 10},
		}),
	}
	v, err := w.builder.Restore(0, func(func(*store.Entry) bool) {})
	if err != nil {
		t.Fatal(err)
	}
	w.hub.Reset(v)
	if rapid.Bool().Draw(t, "push") {
		w.batches = make([][]delivery, rapid.IntRange(1, 3).Draw(t, "senders"))
		w.hub.turns = rapid.SampledFrom([]int{1, 2, maxTurns}).Draw(t, "turns")
		w.hub.room = int64(rapid.SampledFrom([]int{1, 1000, 1 << 20}).Draw(t, "room"))
	}
	w.commit([]store.Event{
		{Entry: &store.Entry{Key: record.LeaseKey(leaseID), Value: record.EncodeLease(&record.Lease{TtlMs: 1000})}},
		{Entry: &store.Entry{Key: record.EpochKey, Value: record.EncodeEpoch(7)}},
	}, nil)
	same := rapid.Bool().Draw(t, "one group")
	for i := range rapid.IntRange(1, 4).Draw(t, "clients") {
		c := &client{world: w, acks: i != 0}
		if c.selector = drawSelector(t); same && i > 0 {
			c.selector = w.clients[0].selector
		}
		w.clients = append(w.clients, c)
	}
	return w
}

func drawSelector(t *rapid.T) *selector.Selector {
	s := &musterv1.Selector{}
	if rapid.Bool().Draw(t, "by prefix") {
		s.Names = &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{Namespace: "shop", Prefix: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "prefix")}}
	} else {
		list := &musterv1.ServiceNames{}
		for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(serviceNames), 1, 3, rapid.ID).Draw(t, "services") {
			list.Names = append(list.Names, &musterv1.ServiceName{Namespace: "shop", Service: n})
		}
		s.Names = &musterv1.Selector_Services{Services: list}
	}
	if rapid.Bool().Draw(t, "filtered") {
		s.Filter = &musterv1.InstanceFilter{VersionRange: ">=2.0.0"}
	}
	sel, err := selector.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return sel
}

var serviceNames = []string{"a", "aa", "b"}

// commit applies one revision.
func (w *world) commit(events []store.Event, note *record.Note) {
	revision := uint64(len(w.views)) + 1
	c := store.Commit{Revision: revision}
	for _, e := range events {
		old := w.state[e.Key]
		switch {
		case e.Deleted:
			e.CreateRevision, e.ModRevision = old.CreateRevision, old.ModRevision
			delete(w.state, e.Key)
		default:
			if e.CreateRevision = old.CreateRevision; e.CreateRevision == 0 {
				e.CreateRevision = revision
			}
			e.ModRevision = revision
			w.state[e.Key] = *e.Entry
		}
		c.Events = append(c.Events, e)
	}
	if note != nil {
		c.Notes = append(c.Notes, note.Encode())
	}
	v, changes, err := w.builder.Apply([]store.Commit{c})
	if err != nil {
		w.t.Fatalf("apply %d: %v", revision, err)
	}
	w.views[revision] = v
	w.hub.Apply(v, changes.Entries, w.now)
}

// change writes or deletes one to three entries.
func (w *world) change() {
	var events []store.Event
	note, used := &record.Note{Reason: musterv1.RemovalReason_REMOVAL_REASON_EXPIRED}, map[string]bool{}
	for range rapid.IntRange(1, 3).Draw(w.t, "events") {
		svc := record.ServiceName{Namespace: "shop", Service: rapid.SampledFrom(serviceNames).Draw(w.t, "service")}
		name := record.InstanceName{ServiceName: svc, ID: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(w.t, "instance")}
		key, value := name.Key(), w.instance(name)
		if rapid.IntRange(0, 4).Draw(w.t, "kind") == 0 {
			key = svc.Key()
			value = record.EncodeService(&musterv1.ServiceState{Namespace: svc.Namespace, Service: svc.Service, Tag: rapid.Uint64().Draw(w.t, "tag")})
		}
		if used[key] {
			continue
		}
		used[key] = true
		if _, there := w.state[key]; there && rapid.IntRange(0, 3).Draw(w.t, "delete") == 0 {
			events = append(events, store.Event{Entry: &store.Entry{Key: key}, Deleted: true})
			note.Keys = append(note.Keys, key)
			continue
		}
		events = append(events, store.Event{Entry: &store.Entry{Key: key, Value: value}})
	}
	w.commit(events, note)
}

func (w *world) instance(n record.InstanceName) []byte {
	return record.Instance{LeaseID: leaseID, Public: record.EncodePublic(&musterv1.Instance{
		Namespace: n.Namespace, Service: n.Service, InstanceId: n.ID, Tag: rapid.Uint64().Draw(w.t, "tag"),
		Version:   rapid.SampledFrom([]string{"1.0.0", "2.0.0"}).Draw(w.t, "version"),
		Lifecycle: rapid.SampledFrom([]musterv1.Lifecycle{musterv1.Lifecycle_LIFECYCLE_SERVING, musterv1.Lifecycle_LIFECYCLE_DRAINING}).Draw(w.t, "lifecycle"),
	})}.Encode()
}

// entry is an entry in a client's hands.
type entry struct {
	modify, tag uint64
	pickable    bool
}

// client is one that takes the protocol at its word.
type client struct {
	world    *world
	acks     bool
	selector *selector.Selector
	stream   *Stream
	inbox    *inbox // if the hub pushes
	nextID   uint32
	opened   bool
	known    *musterv1.KnownView
	set      map[string]entry
	// told are the sets that it was told of since the last acknowledgement,
	// that one's included: it may still pick from any of them.
	told  []map[string]entry
	asked uint64 // revision that it was asked to acknowledge; 0: none
	// fresh tells that a subscription of the stream holds nothing so far.
	fresh  bool
	closed time.Time
}

func (c *client) open() {
	if c.stream != nil {
		return
	}
	c.subscribe(c.openStream(), nil)
	c.told = nil
	if c.known != nil {
		c.told = []map[string]entry{c.set} // a new stream goes by the position
	}
}

// subscribe asks for the view, and lets changes come in between.
func (c *client) subscribe(stream *Stream, remove []uint32) {
	c.nextID++
	add := []Request{{ID: c.nextID, Selector: c.selector, Resume: c.known}}
	totals := c.world.hub.addUp(add, "")
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 150}).Draw(c.world.t, "changes meanwhile") {
		c.world.change()
		c.world.judgeDrains()
	}
	if err := stream.change(remove, add, totals, c.world.now); err != nil {
		c.world.t.Fatalf("change: %v", err)
	}
	c.stream = stream
	c.opened, c.asked, c.fresh = false, 0, false
}

// double adds two more subscriptions of the same view, one that holds nothing
// and one that is where the client is, and leaves only the former.
func (c *client) double() {
	if c.stream == nil || c.known == nil || !c.opened || !c.inbox.idle() {
		return
	}
	add := []Request{
		{ID: c.nextID + 2, Selector: c.selector}, {ID: c.nextID + 1, Selector: c.selector, Resume: c.known},
	}
	if err := c.stream.Change(nil, add, c.world.now); err != nil {
		c.world.t.Fatalf("change: %v", err)
	}
	if err := c.stream.Change([]uint32{c.nextID, c.nextID + 1}, nil, c.world.now); err != nil {
		c.world.t.Fatalf("change: %v", err)
	}
	c.nextID += 2
	c.fresh = true
}

func (c *client) close() {
	if c.stream != nil {
		c.stream.close(c.world.now)
		c.stream, c.asked, c.fresh, c.closed = nil, 0, false, c.world.now
	}
}

// take takes one frame, if there is one.
func (c *client) take() {
	if c.stream == nil {
		return
	}
	messages := c.next()
	stage := map[string]entry{}
	for i, m := range messages {
		f := &musterv1.WatchResponse{}
		if err := proto.Unmarshal(m, f); err != nil {
			c.world.t.Fatalf("frame: %v", err)
		}
		c.frame(f, stage, i == len(messages)-1)
	}
}

func (c *client) frame(f *musterv1.WatchResponse, stage map[string]entry, last bool) {
	t := c.world.t
	if c.inbox != nil && !c.opened && f.GetOpened() == nil {
		return // it was under way when the client asked anew
	}
	switch x := f.GetFrame().(type) {
	case *musterv1.WatchResponse_Opened:
		c.opened = x.Opened.GetSubscriptions()[len(x.Opened.GetSubscriptions())-1].GetSubscriptionId() == c.nextID
		return
	case *musterv1.WatchResponse_Snapshot:
		c.entries(stage, x.Snapshot.GetInstances(), x.Snapshot.GetServices())
		c.fresh = false
		if last {
			c.finish(x.Snapshot.GetHeader(), stage)
		}
	case *musterv1.WatchResponse_Delta:
		if c.known == nil || x.Delta.GetFromRevision() != c.known.GetRevision() || x.Delta.GetHeader().GetRevision() <= c.known.GetRevision() {
			t.Fatalf("delta %v does not follow %v", x.Delta, c.known)
		}
		if len(stage) == 0 {
			maps.Copy(stage, c.set)
		}
		for _, r := range x.Delta.GetRemovals() {
			k := fmt.Sprint(r.GetKey().GetService(), "/", r.GetKey().GetInstanceId())
			if _, had := stage[k]; !had {
				t.Fatalf("%s is removed and was not there", k)
			}
			delete(stage, k)
		}
		c.entries(stage, x.Delta.GetInstances(), x.Delta.GetServices())
		if last {
			c.finish(x.Delta.GetHeader(), stage)
		}
	case *musterv1.WatchResponse_Progress:
		if c.known == nil {
			t.Fatal("progress before the first snapshot")
		}
		c.finish(x.Progress.GetHeader(), c.set)
	}
	if !c.opened {
		t.Fatalf("%v before Opened", f)
	}
	if c.fresh {
		t.Fatalf("%v, and a subscription holds nothing", f)
	}
}

func (c *client) entries(stage map[string]entry, in []*musterv1.Instance, st []*musterv1.ServiceState) {
	for _, i := range in {
		stage[i.GetService()+"/"+i.GetInstanceId()] = entry{i.GetModifyRevision(), i.GetTag(), i.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_SERVING}
	}
	for _, s := range st {
		stage[s.GetService()+"/"] = entry{s.GetModifyRevision(), s.GetTag(), false}
	}
}

// finish holds a complete update to the view of its revision.
func (c *client) finish(h *musterv1.ViewHeader, set map[string]entry) {
	w := c.world
	v := w.views[h.GetRevision()]
	digest, count := SetDigest(v, c.selector)
	if h.GetDigest() != digest || h.GetCount() != count || h.GetEpoch() != 7 {
		w.t.Fatalf("header %v at %d, want digest %d and count %d", h, h.GetRevision(), digest, count)
	}
	want := map[string]entry{}
	Each(v, c.selector, func(s *view.Service, in []*view.Instance) {
		if s.State != nil {
			want[s.Name.Service+"/"] = entry{s.State.GetModifyRevision(), s.State.GetTag(), false}
		}
		for _, i := range in {
			want[i.Name().Service+"/"+i.ID()] = entry{i.ModifyRevision(), i.Tag(), !draining(i)}
		}
	})
	if !maps.Equal(set, want) {
		w.t.Fatalf("set at %d is %v, want %v", h.GetRevision(), set, want)
	}
	c.set = maps.Clone(set)
	c.told = append(c.told, c.set)
	c.known = &musterv1.KnownView{Epoch: 7, Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: digest, Count: count}
	if h.GetAckRequest() != nil {
		c.asked = h.GetRevision()
	}
}

func (c *client) ack() {
	if c.stream == nil || c.asked == 0 || !c.acks {
		return
	}
	c.world.hub.Ack(c.stream, 7, c.known.GetRevision(), nil)
	c.told, c.asked = []map[string]entry{c.set}, 0
}

// judgeDrains holds barriers that are complete to what the clients may pick.
func (w *world) judgeDrains() {
	for svc, of := range w.hub.drains.of {
		for id, d := range of {
			rep, err := d.reportAt(w.now)
			if err != nil || !rep.Complete || w.complete[d] {
				continue
			}
			w.complete[d] = true // whoever comes back later was away for 5 s
			for i, c := range w.clients {
				if c.stream == nil && w.now.Sub(c.closed) >= disconnectGrace || !c.acks {
					continue
				}
				for _, set := range c.told {
					if e := set[svc.Service+"/"+id]; e.pickable && e.modify < d.revision {
						w.t.Fatalf("the drain of %s/%s at %d is complete, and client %d may pick it at %d", svc, id, d.revision, i, e.modify)
					}
				}
			}
		}
	}
}

func (w *world) judgeBooks() {
	for _, s := range w.hub.streams {
		for _, x := range s.watchers {
			for _, d := range x.drains {
				if _, ok := d.waiting[x]; !ok {
					w.t.Fatal("a watcher has a drain that does not wait for it")
				}
			}
			if x.group.watchers[x.index] != x || w.hub.groups[x.group.viewID] != x.group {
				w.t.Fatal("a watcher is not in its group")
			}
		}
	}
	n := 0
	for _, of := range w.hub.drains.of {
		n += len(of)
	}
	if n != w.hub.drains.n {
		w.t.Fatalf("%d drains are counted, there are %d", w.hub.drains.n, n)
	}
}

// step does one random thing.
func (w *world) step() {
	c := rapid.SampledFrom(w.clients).Draw(w.t, "client")
	if w.batches != nil && rapid.Bool().Draw(w.t, "send") {
		w.send(rapid.IntRange(0, len(w.batches)-1).Draw(w.t, "sender"))
	}
	switch rapid.IntRange(0, 13).Draw(w.t, "step") {
	case 0, 1, 2:
		w.change()
	case 3, 4, 5:
		c.take()
	case 6:
		c.ack()
	case 7:
		c.open()
	case 8:
		c.close()
	case 9:
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 8000).Draw(w.t, "ms")) * time.Millisecond)
	case 10:
		if c.stream != nil {
			c.subscribe(c.stream, []uint32{c.nextID})
		}
	case 12:
		for range 40 {
			w.change() // the logs are cut
		}
	case 13:
		c.double()
	case 11:
		for svc, of := range w.hub.drains.of {
			for id := range of {
				w.hub.Drain(record.InstanceName{ServiceName: svc, ID: id}, w.now)
			}
		}
	}
	w.judgeDrains()
	w.judgeBooks()
}

func hubAgainstModel(t *rapid.T) {
	w := newWorld(t)
	for range rapid.IntRange(1, 120).Draw(t, "steps") {
		w.step()
	}
	for _, c := range w.clients {
		c.open()
		for range 5 {
			w.sendAll()
			c.take()
			w.judgeDrains()
		}
		for c.inbox != nil && len(c.inbox.messages) > 0 {
			c.take()
			w.sendAll()
		}
		digest, _ := SetDigest(w.hub.view, c.selector)
		if c.known.GetDigest() != digest {
			t.Fatalf("a client ends with another set than the registry")
		}
	}
}

// TestHubAgainstModel holds random histories to the rules of section 2: frames
// decode, apply without gaps and give the very set of their revision (M2.4b,
// M2.5a, M2.6a, M2.7a); and to those of section 7: no barrier is complete
// while a connected client may pick the instance (M7.2b, M7.6a).
func TestHubAgainstModel(t *testing.T) { rapid.Check(t, hubAgainstModel) }

// FuzzHub is the same, led by coverage.
func FuzzHub(f *testing.F) { f.Fuzz(rapid.MakeFuzz(hubAgainstModel)) }
