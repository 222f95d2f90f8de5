package section

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/muster-registry/muster/bench/fan"
	"github.com/muster-registry/muster/bench/load"
)

// openers is how many watchers are opened at once.
const openers = 16

// audience are the watchers of one server.
type audience struct {
	driver   fan.Driver
	watchers []*listener
	// written counts changes that were answered.
	written atomic.Uint64
	// origin is the revision before the first of these changes; 0 until known.
	origin uint64
	meter  atomic.Pointer[meter]
}

// listener is one watcher. Only its own stream writes to it.
type listener struct {
	service int
	// at is the revision that it was told of last.
	at atomic.Uint64
	_  [40]byte // a cache line for each
}

// meter is what one measurement counts. Watchers use it concurrently.
type meter struct {
	// window is nil if nobody waits for the watchers.
	window *fan.Window
	// base is the revision at which it began.
	base uint64
	// latency is from the begin of the write to the watcher's callback; nil:
	// not measured. Only every sampled-th watcher adds to it.
	latency *fan.Histogram
	sampled int
	// look is called for every frame; nil: nothing is.
	look            func(f *fan.Frame, now time.Time)
	frames, changes shardedCounter
}

// shardedCounter is a counter that many may add to.
type shardedCounter [16]struct {
	n atomic.Uint64
	_ [56]byte
}

func (c *shardedCounter) add(shard int, n uint64) { c[shard%len(c)].n.Add(n) }

func (c *shardedCounter) sum() uint64 {
	var n uint64
	for i := range c {
		n += c[i].n.Load()
	}
	return n
}

// open opens watchers, the i-th one on connection i for service i modulo the
// number of services.
func (a *audience) open(ctx context.Context, watchers, services int) error {
	first := len(a.watchers)
	for range watchers {
		a.watchers = append(a.watchers, &listener{service: len(a.watchers) % services})
	}
	return load.Each(ctx, openers, watchers, func(ctx context.Context, _, i int) error {
		i += first
		l := a.watchers[i]
		return a.driver.Watch(ctx, i, l.service, func(f *fan.Frame) { a.hear(i, l, f) })
	})
}

// hear is a watcher's callback.
func (a *audience) hear(i int, l *listener, f *fan.Frame) {
	m := a.meter.Load()
	if m == nil {
		l.at.Store(f.To)
		return
	}
	m.frames.add(i, 1)
	m.changes.add(i, uint64(len(f.Stamps)))
	if m.look != nil || m.latency != nil && i%m.sampled == 0 {
		now := time.Now()
		if m.look != nil {
			m.look(f, now)
		}
		if m.latency != nil && i%m.sampled == 0 {
			for _, s := range f.Stamps {
				m.latency.Add(fan.Since(s, now))
			}
		}
	}
	if !f.Complete {
		return
	}
	l.at.Store(f.To)
	if m.window != nil {
		m.window.Seen(max(f.From, m.base)-m.base, f.To-m.base)
	}
}

// change writes one change.
func (a *audience) change(ctx context.Context, conn, service, instance int) error {
	if err := a.driver.Change(ctx, conn, service, instance); err != nil {
		return fmt.Errorf("change instance %d of service %d: %w", instance, service, err)
	}
	a.written.Add(1)
	return nil
}

// settled waits until all watchers, which watch one service, were told of all
// changes, and returns the revision. It fails if a change was lost.
func (a *audience) settled(ctx context.Context) (uint64, error) {
	if a.origin == 0 {
		// The first change that all are told of makes the revision known.
		if err := a.change(ctx, 0, 0, 0); err != nil {
			return 0, err
		}
		err := a.await(ctx, func(least, most uint64) bool { return least == most && least > 0 })
		a.origin = a.watchers[0].at.Load() - a.written.Load()
		return a.origin + a.written.Load(), err
	}
	want := a.origin + a.written.Load()
	return want, a.await(ctx, func(least, most uint64) bool { return least == want && most == want })
}

// await waits for the least and the newest revision that watchers were told of.
func (a *audience) await(ctx context.Context, done func(least, most uint64) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		least, most := uint64(math.MaxUint64), uint64(0)
		for _, l := range a.watchers {
			least, most = min(least, l.at.Load()), max(most, l.at.Load())
		}
		if done(least, most) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("watchers are at revisions %d to %d after %d changes from %d on: changes were lost",
				least, most, a.written.Load(), a.origin), a.driver.Err())
		case <-time.After(time.Millisecond):
		}
	}
}
