package load

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errBroken = errors.New("broken")

// Only what ends within the measured time counts.
func TestClosedCountsTheMeasuredTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cpu time.Duration
		plan := Plan{
			Workers: 4, Warmup: time.Second, Duration: 2*time.Second + time.Millisecond,
			CPU: func() (time.Duration, error) { cpu += 3 * time.Second; return cpu, nil },
		}
		result, err := Closed(t.Context(), plan, func(context.Context, int) error {
			time.Sleep(30 * time.Millisecond)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// From 1.02 s to 3 s, by each worker.
		if want := uint64(4 * 67); result.Ops != want {
			t.Errorf("%d operations, want %d", result.Ops, want)
		}
		if result.Latency.Max() != 30*time.Millisecond || result.CPU != 3*time.Second {
			t.Errorf("max %v, CPU %v", result.Latency.Max(), result.CPU)
		}
		if got := result.CPUPerMillion(); got < 11_194 || got > 11_195 {
			t.Errorf("%v s of CPU for a million", got)
		}
	})
}

func TestClosedEndsWithTheFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := Closed(t.Context(), Plan{Workers: 3, Duration: time.Hour}, func(ctx context.Context, worker int) error {
			if worker == 2 {
				return errBroken
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "worker 2") {
			t.Errorf("got %v", err)
		}
	})
}

func TestClosedEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := Closed(ctx, Plan{Workers: 3, Duration: time.Hour}, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestEach(t *testing.T) {
	var seen [1000]atomic.Int32
	if err := Each(t.Context(), 7, len(seen), func(_ context.Context, _, i int) error {
		seen[i].Add(1)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i := range seen {
		if n := seen[i].Load(); n != 1 {
			t.Fatalf("item %d was done %d times", i, n)
		}
	}
	err := Each(t.Context(), 7, 1000, func(_ context.Context, _, i int) error {
		if i == 500 {
			return errBroken
		}
		return nil
	})
	if !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

// answering answers each request after a while.
type answering struct {
	t      *testing.T
	window int64
	after  time.Duration
	queue  chan time.Time
	open   atomic.Int64
	closed chan struct{}
	fails  bool
}

func (a *answering) Send() error {
	if n := a.open.Add(1); n > a.window {
		a.t.Errorf("%d requests are under way, the window is %d", n, a.window)
	}
	a.queue <- time.Now()
	return nil
}

func (a *answering) Recv() error {
	if a.fails {
		return errBroken
	}
	select {
	case sent := <-a.queue:
		time.Sleep(time.Until(sent.Add(a.after)))
		a.open.Add(-1)
		return nil
	case <-a.closed:
		return context.Canceled
	}
}

func (a *answering) Close() { close(a.closed) }

func newAnswering(t *testing.T, window int) *answering {
	return &answering{
		t: t, window: int64(window), after: 10 * time.Millisecond,
		queue: make(chan time.Time, window), closed: make(chan struct{}),
	}
}

// As many requests are under way as the window allows, and no more.
func TestPipelined(t *testing.T) {
	for _, window := range []int{1, 2, 7, 64} {
		synctest.Test(t, func(t *testing.T) {
			streams := []Stream{newAnswering(t, window), newAnswering(t, window)}
			result, err := Pipelined(t.Context(), Plan{Workers: window, Warmup: 25 * time.Millisecond, Duration: time.Second}, streams)
			if err != nil {
				t.Fatal(err)
			}
			// A window in 10 ms; half of one if only the halves alternate.
			if least, most := uint64(window*90), uint64(2*window*101); result.Ops < least || result.Ops > most {
				t.Errorf("window %d: %d answers in a second, want %d to %d", window, result.Ops, least, most)
			}
		})
	}
}

func TestPipelinedEndsWithTheFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := newAnswering(t, 4)
		broken.fails = true
		_, err := Pipelined(t.Context(), Plan{Workers: 4, Duration: time.Hour}, []Stream{newAnswering(t, 4), broken})
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "stream 1") {
			t.Errorf("got %v", err)
		}
	})
}
