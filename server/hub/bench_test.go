package hub

import (
	"fmt"
	"testing"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// bench is a hub over one service, fed by commits.
type bench struct {
	hub      *Hub
	builder  *view.Builder
	revision uint64
	created  map[string]uint64
}

func newBench(b *testing.B, instances int) *bench {
	b.Helper()
	x := &bench{
		hub:     New(Options{Started: start, Limits: &musterv1.Limits{SubscriptionsPerStream: 1000}}),
		builder: view.NewBuilder(), created: map[string]uint64{},
	}
	v, err := x.builder.Restore(0, func(func(*store.Entry) bool) {})
	if err != nil {
		b.Fatal(err)
	}
	x.hub.Reset(v)
	x.put(b, record.LeaseKey(leaseID), record.EncodeLease(&record.Lease{}))
	for i := range instances {
		x.instance(b, i, musterv1.Lifecycle_LIFECYCLE_SERVING)
	}
	return x
}

func (x *bench) put(b *testing.B, key string, value []byte) {
	x.revision++
	if x.created[key] == 0 {
		x.created[key] = x.revision
	}
	v, changes, err := x.builder.Apply([]store.Commit{{Revision: x.revision, Events: []store.Event{{Entry: &store.Entry{
		Key: key, Value: value, CreateRevision: x.created[key], ModRevision: x.revision,
	}}}}})
	if err != nil {
		b.Fatal(err)
	}
	x.hub.Apply(v, changes.Entries, start.Add(time.Hour))
}

func (x *bench) instance(b *testing.B, i int, l musterv1.Lifecycle) {
	in := &musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: fmt.Sprintf("pay-%06d", i), Version: "2.0.0", Lifecycle: l, Tag: x.revision,
		Endpoints: []*musterv1.Endpoint{{Name: "grpc", Address: "10.0.0.1:8080"}},
	}
	n := record.InstanceName{ServiceName: record.ServiceName{Namespace: "shop", Service: "pay"}, ID: in.GetInstanceId()}
	x.put(b, n.Key(), record.Instance{Public: record.EncodePublic(in), LeaseID: leaseID}.Encode())
}

// watch opens n streams and takes all there is.
func (x *bench) watch(b *testing.B, n int, acks bool) []*Stream {
	sel, streams := named(b, "pay"), make([]*Stream, n)
	for i := range streams {
		streams[i] = x.hub.Open(Client{Acks: acks}, nil)
		if err := streams[i].Change(nil, []Request{{ID: 1, Selector: sel}}, start.Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
	takeAll(streams)
	return streams
}

func takeAll(streams []*Stream) (frames int) {
	for _, s := range streams {
		for {
			messages, _ := s.Next(start.Add(time.Hour))
			if messages == nil {
				break
			}
			frames += len(messages)
		}
	}
	return frames
}

// BenchmarkFanOut is one change of one instance, taken by 1,000 watchers.
func BenchmarkFanOut(b *testing.B) {
	x := newBench(b, 1000)
	streams := x.watch(b, 1000, true)
	b.ReportAllocs()
	for b.Loop() {
		x.instance(b, 7, musterv1.Lifecycle_LIFECYCLE_SERVING)
		if n := takeAll(streams); n != 1000 {
			b.Fatalf("%d frames, want 1000", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/watcher")
}

// BenchmarkApply is one change of one instance with nobody who takes it: what
// the store's applier waits for.
func BenchmarkApply(b *testing.B) {
	for _, watchers := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			x := newBench(b, 10_000)
			x.watch(b, watchers, true)
			b.ReportAllocs()
			for b.Loop() {
				x.instance(b, 7, musterv1.Lifecycle_LIFECYCLE_SERVING)
			}
		})
	}
}

// BenchmarkBeginDrain is one instance of 10,000 turning DRAINING and back, with
// 10,000 watchers that may hold it and a long log.
func BenchmarkBeginDrain(b *testing.B) {
	x := newBench(b, 10_000)
	x.watch(b, 10_000, true)
	b.ReportAllocs()
	for b.Loop() {
		x.instance(b, 7, musterv1.Lifecycle_LIFECYCLE_DRAINING)
		x.instance(b, 7, musterv1.Lifecycle_LIFECYCLE_SERVING)
	}
}

// BenchmarkDigest is what a Lookup adds up of 10,000 instances that nobody
// watches.
func BenchmarkDigest(b *testing.B) {
	x := newBench(b, 10_000)
	for name, filter := range map[string]*musterv1.InstanceFilter{"whole": nil, "filtered": {VersionRange: ">=2.0.0"}} {
		b.Run(name, func(b *testing.B) {
			sel := compile(b, &musterv1.Selector{Filter: filter, Names: &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{}}})
			for b.Loop() {
				x.hub.Digest(sel, "")
			}
		})
	}
}
