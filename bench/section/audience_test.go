package section

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/bench/fan"
)

// fakeDriver tells each watcher of each change after a while, in order.
type fakeDriver struct {
	mu       sync.Mutex
	revision uint64
	watchers []chan fan.Frame
	services []int
	joined   sync.WaitGroup
	// lose is the watcher that is not told of the next change of its service; -1: none.
	lose int
}

func (d *fakeDriver) Fill(context.Context, int, int) error { return nil }

func (d *fakeDriver) Watch(_ context.Context, _, service int, f func(*fan.Frame)) error {
	frames := make(chan fan.Frame, 1000)
	d.mu.Lock()
	d.watchers, d.services = append(d.watchers, frames), append(d.services, service)
	d.mu.Unlock()
	d.joined.Go(func() {
		for frame := range frames {
			time.Sleep(time.Millisecond)
			f(&frame)
		}
	})
	return nil
}

func (d *fakeDriver) Change(_ context.Context, _, service, _ int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.revision++
	for i, w := range d.watchers {
		switch {
		case d.services[i] != service:
		case i == d.lose:
			d.lose = -1
		default:
			w <- fan.Frame{From: d.revision - 1, To: d.revision, Complete: true, Stamps: []uint32{fan.Now()}}
		}
	}
	return nil
}

func (d *fakeDriver) Err() error { return nil }

func (d *fakeDriver) Close() error {
	for _, w := range d.watchers {
		close(w)
	}
	d.joined.Wait()
	return nil
}

func opened(t *testing.T, watchers, services int) (*audience, *fakeDriver) {
	t.Helper()
	d := &fakeDriver{lose: -1}
	a := &audience{driver: d}
	if err := a.open(t.Context(), watchers, services); err != nil {
		t.Fatal(err)
	}
	return a, d
}

func TestFloodCountsEveryDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const watchers, window = 7, 4
		a, d := opened(t, watchers, 1)
		m := &meter{window: fan.NewWindow(window, 2, watchers), latency: &fan.Histogram{}, timed: everyNth(2)}
		a.meter.Store(m)
		w := a.flood(t.Context(), 3, 10, m.window)
		time.Sleep(time.Second)
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		n, err := a.settled(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.frames.sum() != n*watchers || m.changes.sum() != n*watchers || m.latency.Count() != n*4 {
			t.Errorf("%d frames, %d changes, %d latencies of %d changes to %d watchers", m.frames.sum(), m.changes.sum(), m.latency.Count(), n, watchers)
		}
		// Four are under way at most, each for a millisecond and those before it.
		if n < 500 || m.latency.Max() > 5*time.Millisecond {
			t.Errorf("%d changes, latest after %v", n, m.latency.Max())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPaceKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const services = 5
		a, d := opened(t, 10, services)
		w := a.pace(t.Context(), 8, 200, services, 3)
		time.Sleep(2*time.Second + time.Millisecond)
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		if n := a.written.Load(); n < 400 || n > 402 {
			t.Errorf("%d changes in 2 s, not 400", n)
		}
		if err := a.converge(t.Context(), services); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLostChangesAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, d := opened(t, 4, 2)
		d.lose = 2
		if err := a.change(t.Context(), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := a.settled(t.Context()); err == nil {
			t.Error("a watcher was not told of a change, and that was not found")
		}
		d.lose = 3
		if err := a.converge(t.Context(), 2); err == nil {
			t.Error("a watcher was not told of the last change, and that was not found")
		}
		if err := a.converge(t.Context(), 2); err != nil {
			t.Errorf("nothing was lost: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestStoppedWatchersDoNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, d := opened(t, 3, 1)
		a.stop(1)
		for range 5 {
			if err := a.change(t.Context(), 0, 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if others, stopped := a.watchers[0].heard.Load(), a.watchers[2].heard.Load(); others != 5 || stopped != 1 {
			t.Errorf("others heard %d of 5, the one that stopped %d", others, stopped)
		}
		a.resume()
		a.resume() // does nothing
		if _, err := a.settled(t.Context()); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestFrameAge(t *testing.T) {
	a := newFrameAge()
	start := time.Unix(1000, 0)
	frame := func(uptime, written, received time.Duration) {
		a.add(&fan.Frame{UptimeMs: uptime.Milliseconds(), Oldest: start.Add(written).UnixNano()}, start.Add(received))
	}
	frame(100*time.Millisecond, 90*time.Millisecond, 101*time.Millisecond) // the fastest: 1 ms under way
	frame(300*time.Millisecond, 280*time.Millisecond, 390*time.Millisecond)
	a.add(&fan.Frame{}, start) // tells nothing
	if a.Count() != 2 || a.Max() != 21*time.Millisecond {
		t.Errorf("%d ages up to %v, want 2 up to 21ms", a.Count(), a.Max())
	}
}
