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
	meter   atomic.Pointer[meter]
	// gate is that of the watchers that stopped reading, or nil.
	gate chan struct{}
	// converging makes watchers note how new their changes are.
	converging atomic.Bool
}

// listener is one watcher. Only its own stream writes to it.
type listener struct {
	service int
	// heard is how many changes it was told of.
	heard atomic.Uint64
	// newest is when the newest of them was begun, in ns since 1970, as far as
	// they were heard while the audience converged.
	newest atomic.Int64
	// gate, if not nil, makes it stop reading until the channel is closed.
	gate atomic.Pointer[chan struct{}]
	_    [24]byte // a cache line for each
}

// meter is what one measurement counts. Watchers use it concurrently.
type meter struct {
	// window is nil if nobody waits for the watchers.
	window *fan.Window
	// base is how many changes each watcher had been told of when it began.
	base uint64
	// latency is from the begin of the write to the watcher's callback; nil:
	// not measured. Only watchers for which timed is true add to it.
	latency *fan.Histogram
	timed   func(i int) bool
	// age is how old the oldest change of a frame was when the server made it;
	// nil: not measured.
	age             *frameAge
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

// open opens watchers, the i-th one for service i modulo the number of
// services. Those of one service are on different connections, as they are when
// a connection is a client.
func (a *audience) open(ctx context.Context, watchers, services int) error {
	first := len(a.watchers)
	for range watchers {
		a.watchers = append(a.watchers, &listener{service: len(a.watchers) % services})
	}
	return load.Each(ctx, openers, watchers, func(ctx context.Context, _, i int) error {
		i += first
		l := a.watchers[i]
		return a.driver.Watch(ctx, i+i/services, l.service, func(f *fan.Frame) { a.hear(i, l, f) })
	})
}

// hear is a watcher's callback.
func (a *audience) hear(i int, l *listener, f *fan.Frame) {
	n := uint64(len(f.Stamps))
	heard := l.heard.Add(n)
	if a.converging.Load() {
		l.note(f)
	}
	if gate := l.gate.Load(); gate != nil {
		<-*gate
	}
	m := a.meter.Load()
	if m == nil {
		return
	}
	m.frames.add(i, 1)
	m.changes.add(i, n)
	timed := m.latency != nil && m.timed(i)
	if m.age != nil || timed {
		now := time.Now()
		if m.age != nil {
			m.age.add(f, now)
		}
		for _, s := range f.Stamps {
			if timed {
				m.latency.Add(fan.Since(s, now))
			}
		}
	}
	if m.window != nil {
		m.window.Seen(heard-n-m.base, heard-m.base)
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

// stop makes the last n watchers stop reading, with the frame that comes next.
func (a *audience) stop(n int) {
	gate := make(chan struct{})
	a.gate = gate
	for _, l := range a.watchers[len(a.watchers)-n:] {
		l.gate.Store(&gate)
	}
}

// resume lets those that stopped go on, if there are any.
func (a *audience) resume() {
	if a.gate == nil {
		return
	}
	for _, l := range a.watchers {
		l.gate.Store(nil)
	}
	close(a.gate)
	a.gate = nil
}

// settled waits until all watchers, which watch one service, were told of every
// change, and returns how many there were. It fails if a change was lost, or
// told twice.
func (a *audience) settled(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	want := a.written.Load()
	for {
		least, most := uint64(math.MaxUint64), uint64(0)
		for _, l := range a.watchers {
			heard := l.heard.Load()
			least, most = min(least, heard), max(most, heard)
		}
		if least == want && most == want {
			return want, nil
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("watchers were told of %d to %d of %d changes", least, most, want), a.driver.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// everyNth makes meters time one in n watchers.
func everyNth(n int) func(int) bool { return func(i int) bool { return i%n == 0 } }

// note keeps the newest change of a frame.
func (l *listener) note(f *fan.Frame) {
	now := time.Now()
	for _, s := range f.Stamps {
		l.newest.Store(max(l.newest.Load(), now.Add(-fan.Since(s, now)).UnixNano()))
	}
}

// converge changes each service once more, and waits until all of its watchers
// were told of that change.
func (a *audience) converge(ctx context.Context, services int) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	a.converging.Store(true)
	defer a.converging.Store(false)
	// Stamps are coarse: what was written before must look older.
	if err := pause(ctx, time.Millisecond); err != nil {
		return err
	}
	begun := time.Now().UnixNano()
	if err := pause(ctx, time.Millisecond); err != nil {
		return err
	}
	err := load.Each(ctx, openers, services, func(ctx context.Context, w, s int) error { return a.change(ctx, w, s, 0) })
	if err != nil {
		return err
	}
	for {
		behind := 0
		for _, l := range a.watchers {
			if l.newest.Load() < begun {
				behind++
			}
		}
		if behind == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%d of %d watchers were not told of the last change", behind, len(a.watchers)), a.driver.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
