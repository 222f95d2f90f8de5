package limit

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
)

// shards is how many goroutines send: as many as there are cores on the
// machine that the targets are for.
const shards = 2

// direct sends from its shards. The handlers' goroutines only wait for the end.
type direct struct {
	mu        sync.Mutex
	revisions map[uint32]uint64
	shards    [shards]*shard
	next      atomic.Uint32
	done      <-chan struct{}
	joined    sync.WaitGroup
}

// shard owns a part of the streams. Everything is done by its goroutine, in the
// order of its queue.
type shard struct {
	queue   chan func(*shard)
	streams map[uint32][]grpc.ServerStream
}

func newDirect(ctx context.Context) *direct {
	d := &direct{revisions: map[uint32]uint64{}, done: ctx.Done()}
	for i := range d.shards {
		s := &shard{queue: make(chan func(*shard), streamQueue), streams: map[uint32][]grpc.ServerStream{}}
		d.shards[i] = s
		d.joined.Go(func() {
			for {
				select {
				case f := <-s.queue:
					f(s)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return d
}

// do queues work for a shard, unless the server stops.
func (d *direct) do(s *shard, f func(*shard)) {
	select {
	case s.queue <- f:
	case <-d.done:
	}
}

func (d *direct) publish(topic, stamp uint32, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.revisions[topic]++
	m := fanMessage(d.revisions[topic], stamp, size)
	for _, s := range d.shards {
		d.do(s, func(s *shard) {
			for _, stream := range s.streams[topic] {
				_ = stream.SendMsg(m) // its handler learns of the end by itself
			}
		})
	}
}

func (d *direct) watch(topic uint32, stream grpc.ServerStream) error {
	s, ctx := d.shards[d.next.Add(1)%shards], stream.Context()
	d.mu.Lock()
	begin := fanMessage(d.revisions[topic], 0, 0)
	d.do(s, func(s *shard) {
		s.streams[topic] = append(s.streams[topic], stream)
		_ = stream.SendMsg(begin)
	})
	d.mu.Unlock()
	<-ctx.Done()
	gone := make(chan struct{})
	d.do(s, func(s *shard) {
		all := s.streams[topic]
		if i := slices.Index(all, stream); i >= 0 {
			s.streams[topic] = slices.Delete(all, i, i+1)
		}
		close(gone)
	})
	// Nobody may send any more once the handler has returned.
	select {
	case <-gone:
	case <-d.done:
	}
	return ctx.Err()
}
