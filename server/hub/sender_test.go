package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// tap is a sink that keeps what it was sent, and takes it when it is told to.
type tap struct {
	mu       sync.Mutex
	stream   *Stream
	stuck    bool
	fail     error
	gate     chan struct{} // if there is one, Send waits for it
	messages []*musterv1.WatchResponse
	waiting  []waiting
	most     int // bytes that waited at once
}

type waiting struct {
	bytes int
	probe *Probe
}

// Send implements Sink.
func (x *tap) Send(m *[]byte, p *Probe) error {
	if x.gate != nil {
		<-x.gate
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.fail != nil {
		return x.fail
	}
	f := &musterv1.WatchResponse{}
	if err := proto.Unmarshal(*m, f); err != nil {
		return err
	}
	x.messages = append(x.messages, f)
	x.waiting = append(x.waiting, waiting{len(*m), p})
	sum := 0
	for _, w := range x.waiting {
		sum += w.bytes
	}
	x.most = max(x.most, sum)
	if !x.stuck {
		x.read()
	}
	return nil
}

// read takes what waits.
func (x *tap) read() {
	for _, w := range x.waiting {
		if w.probe != nil {
			w.probe.Taken()
		}
	}
	x.waiting = nil
}

func (x *tap) unstick() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stuck = false
	x.read()
}

func (x *tap) frames() []*musterv1.WatchResponse {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.messages
}

// fanOut is a hub with senders in a bubble.
type fanOut struct {
	t        *testing.T
	hub      *Hub
	builder  *view.Builder
	revision uint64
}

func withSenders(t *testing.T, n int, test func(*fanOut)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fanOut{
			t: t, builder: view.NewBuilder(),
			hub: New(Options{Started: time.Now(), Limits: &musterv1.Limits{SubscriptionsPerStream: 10}}),
		}
		v, err := f.builder.Restore(0, func(func(*store.Entry) bool) {})
		if err != nil {
			t.Fatal(err)
		}
		f.hub.Reset(v)
		f.put(record.LeaseKey(leaseID), record.EncodeLease(&record.Lease{}))
		ctx, cancel := context.WithCancel(t.Context())
		var senders sync.WaitGroup
		for range n {
			senders.Go(func() { f.hub.Send(ctx) })
		}
		test(f)
		cancel()
		senders.Wait()
	})
}

func withoutSenders(t *testing.T) *fanOut {
	t.Helper()
	f := &fanOut{
		t: t, builder: view.NewBuilder(),
		hub: New(Options{Started: time.Now(), Limits: &musterv1.Limits{SubscriptionsPerStream: 10}}),
	}
	v, err := f.builder.Restore(0, func(func(*store.Entry) bool) {})
	if err != nil {
		t.Fatal(err)
	}
	f.hub.Reset(v)
	f.put(record.LeaseKey(leaseID), record.EncodeLease(&record.Lease{}))
	return f
}

func (f *fanOut) put(key string, value []byte) {
	f.t.Helper()
	f.revision++
	v, changes, err := f.builder.Apply([]store.Commit{{Revision: f.revision, Events: []store.Event{{Entry: &store.Entry{
		Key: key, Value: value, CreateRevision: f.revision, ModRevision: f.revision,
	}}}}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.hub.Apply(v, changes.Entries, time.Now())
}

func (f *fanOut) instance(service, id string, metadata int) {
	f.t.Helper()
	in := &musterv1.Instance{
		Namespace: "shop", Service: service, InstanceId: id, Tag: f.revision,
		Metadata: map[string]string{"x": string(make([]byte, metadata))},
	}
	n := record.InstanceName{ServiceName: record.ServiceName{Namespace: "shop", Service: service}, ID: id}
	f.put(n.Key(), record.Instance{Public: record.EncodePublic(in), LeaseID: leaseID}.Encode())
}

func (f *fanOut) watch(x *tap, services ...string) *tap {
	f.t.Helper()
	x.stream = f.hub.Open(Client{}, x)
	var add []Request
	for i, s := range services {
		add = append(add, Request{ID: uint32(i), Selector: named(f.t, s)})
	}
	if err := x.stream.Change(nil, add, time.Now()); err != nil {
		f.t.Fatal(err)
	}
	return x
}

// TestSlowWatcherGetsOneFrame: while a client does not read, its transport is
// given a bounded number of bytes; what happens meanwhile comes in one frame
// then, and nobody else waits.
func TestSlowWatcherGetsOneFrame(t *testing.T) {
	withSenders(t, 2, func(f *fanOut) {
		slow, quick := f.watch(&tap{}, "pay"), f.watch(&tap{}, "pay")
		synctest.Wait()
		slow.stuck = true
		const changes = 200
		for i := range changes {
			f.instance("pay", fmt.Sprint(i), 1000)
			synctest.Wait()
		}
		if n := len(quick.frames()); n != changes+2 {
			t.Errorf("the quick watcher got %d messages, want %d", n, changes+2)
		}
		if slow.most < Room || slow.most > Room+2000 {
			t.Errorf("%d bytes waited in the slow watcher's transport, want about %d", slow.most, Room)
		}
		had := len(slow.frames())
		slow.unstick()
		synctest.Wait()
		rest := slow.frames()[had:]
		if len(rest) != 1 || len(rest[0].GetDelta().GetInstances()) != changes+2-had || rest[0].GetDelta().GetHeader().GetRevision() != f.revision {
			t.Errorf("then it got %d messages, want one with the other %d changes", len(rest), changes+2-had)
		}
	})
}

// TestChunksAreNotInterleaved: an update in several chunks goes out whole, a
// chunk whenever there is room, before anything else.
func TestChunksAreNotInterleaved(t *testing.T) {
	withSenders(t, 2, func(f *fanOut) {
		for i := range 40 {
			f.instance("big", fmt.Sprint(i), 60_000)
		}
		x := f.watch(&tap{stuck: true}, "big", "pay")
		for i := range 40 {
			synctest.Wait()
			f.instance("pay", fmt.Sprint(i), 10)
			x.mu.Lock()
			x.read()
			x.mu.Unlock()
		}
		x.unstick()
		synctest.Wait()
		next := uint32(0)
		for _, m := range x.frames() {
			chunk := m.GetSnapshot().GetChunk()
			if chunk == nil {
				chunk = m.GetDelta().GetChunk()
			}
			if chunk.GetIndex() != next {
				t.Fatalf("chunk %d came where %d was to come", chunk.GetIndex(), next)
			}
			if next++; chunk.GetPosition() != musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL {
				next = 0
			}
		}
		if x.most > Room+chunkBytes+70_000 {
			t.Errorf("%d bytes waited at once, want at most one chunk", x.most)
		}
		for _, w := range x.stream.watchers {
			if w.cursor < w.group.changed {
				t.Errorf("a watcher stands at %d, its group changed at %d", w.cursor, w.group.changed)
			}
		}
	})
}

// TestCloseWaitsForTheSender: after Close nothing is sent any more.
func TestCloseWaitsForTheSender(t *testing.T) {
	withSenders(t, 1, func(f *fanOut) {
		x := f.watch(&tap{gate: make(chan struct{})}, "pay")
		synctest.Wait() // the sender is at the gate now
		closed := make(chan struct{})
		go func() { x.stream.Close(time.Now()); close(closed) }()
		select {
		case <-closed:
			t.Error("closed while a message was on its way")
		case <-time.After(time.Second):
		}
		close(x.gate)
		<-closed
	})
}

// TestFailedSendEndsTheStream: with the sink's own error.
func TestFailedSendEndsTheStream(t *testing.T) {
	withSenders(t, 1, func(f *fanOut) {
		broken := errors.New("broken")
		x := f.watch(&tap{fail: broken}, "pay")
		<-x.stream.Done()
		if !errors.Is(x.stream.Err(), broken) {
			t.Errorf("err = %v, want the sink's", x.stream.Err())
		}
		f.instance("pay", "1", 10)
		synctest.Wait()
		x.stream.Close(time.Now())
	})
}

// TestWatchersComeAndGoDuringAPass: nobody is left out, whoever leaves.
func TestWatchersComeAndGoDuringAPass(t *testing.T) {
	for _, senders := range []int{1, 2, 5} {
		withSenders(t, senders, func(f *fanOut) {
			var taps []*tap
			for range 300 {
				taps = append(taps, f.watch(&tap{}, "pay"))
			}
			for i := range 100 {
				f.instance("pay", "1", i)
				taps[0].stream.Close(time.Now())
				taps = append(taps[1:], f.watch(&tap{}, "pay"))
			}
			synctest.Wait()
			for i, x := range taps {
				last := x.frames()[len(x.frames())-1]
				if r := max(last.GetDelta().GetHeader().GetRevision(), last.GetSnapshot().GetHeader().GetRevision()); r != f.revision {
					t.Errorf("watcher %d was told of revision %d, want %d", i, r, f.revision)
				}
				x.stream.Close(time.Now())
			}
		})
	}
}
