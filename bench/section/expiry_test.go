package section

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/bench/load"
)

func TestDelaysCountFromTheTTL(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	e := &expiry{
		ended: []time.Time{at(0), at(100), at(50)},
		seen:  []time.Time{at(10), at(120), at(130)},
	}
	h, last := e.delays()
	if last != 30*time.Millisecond {
		t.Errorf("the last removal came %v after the last TTL, want 30ms", last)
	}
	if h.Count() != 3 || h.Max() != 80*time.Millisecond {
		t.Errorf("%d delays up to %v, want 3 up to 80ms", h.Count(), h.Max())
	}
	e.seen = []time.Time{at(0), at(90), at(50)}
	if _, last = e.delays(); last != -10*time.Millisecond {
		t.Errorf("the last removal came %v after the last TTL, want 10ms before it", last)
	}
}

func TestPacedKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		var h load.Histogram
		until, stop := closedAt(time.Now().Add(time.Second))
		defer stop()
		err := paced(t.Context(), func(context.Context, int, uint64) error {
			calls.Add(1)
			time.Sleep(time.Millisecond)
			return nil
		}, &h, until)
		if err != nil {
			t.Fatal(err)
		}
		if n := calls.Load(); n < pacedPerSecond-pacedWorkers || n > pacedPerSecond+pacedWorkers {
			t.Errorf("%d calls in a second, want %d", n, pacedPerSecond)
		}
		if h.Quantile(0.99) > 2*time.Millisecond {
			t.Errorf("p99 %v of calls that take 1ms", h.Quantile(0.99))
		}
	})
}

// A call that waits because the one before took long began when it was due.
func TestPacedCountsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h load.Histogram
		until, stop := closedAt(time.Now().Add(time.Second))
		defer stop()
		err := paced(t.Context(), func(_ context.Context, _ int, key uint64) error {
			if key < pacedWorkers { // the first of each worker
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		}, &h, until)
		if err != nil {
			t.Fatal(err)
		}
		if p := h.Quantile(0.5); p < 10*time.Millisecond {
			t.Errorf("p50 %v, though half of all waited for a stall of 500ms", p)
		}
	})
}

func TestPacedEndsWithAnError(t *testing.T) {
	broken := errors.New("broken")
	var h load.Histogram
	err := paced(t.Context(), func(context.Context, int, uint64) error { return broken }, &h, nil)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestSizeName(t *testing.T) {
	for n, want := range map[int]string{1_000: "1k", 10_000: "10k", 100_000: "100k", 1_000_000: "1m"} {
		if got := sizeName(n); got != want {
			t.Errorf("sizeName(%d) = %q, want %q", n, got, want)
		}
	}
}
