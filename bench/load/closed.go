package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Plan says how a measurement runs.
type Plan struct {
	// Workers is how many operations (or requests on streams) are under way.
	Workers int
	// Warmup is how long the load runs before it is measured.
	Warmup time.Duration
	// Duration is how long it is measured.
	Duration time.Duration
	// CPU reads the CPU time of the server under test; nil: it is not measured.
	CPU func() (time.Duration, error)
}

// Result is what came of a measurement.
type Result struct {
	// Ops were done within Elapsed.
	Ops     uint64
	Elapsed time.Duration
	// Latency holds how long each took; empty for streams.
	Latency Histogram
	// CPU is what the server used meanwhile, 0 if the plan did not ask.
	CPU time.Duration
}

// PerSecond is how many operations were done in a second.
func (r *Result) PerSecond() float64 { return float64(r.Ops) / r.Elapsed.Seconds() }

// CPUPerMillion is the server's CPU time in seconds for a million operations.
func (r *Result) CPUPerMillion() float64 { return r.CPU.Seconds() * 1e6 / float64(max(r.Ops, 1)) }

// phases of a measurement.
const (
	warming = iota
	measuring
	done
)

// Closed runs workers that each do one operation after the other. op gets the
// worker's number; it is called concurrently for different workers. The first
// error ends all and is returned.
func Closed(ctx context.Context, plan Plan, op func(ctx context.Context, worker int) error) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var phase atomic.Int32
	histograms := make([]Histogram, plan.Workers)
	var wg sync.WaitGroup
	for w := range plan.Workers {
		wg.Go(func() {
			if err := loop(ctx, w, &phase, &histograms[w], op); err != nil {
				cancel(fmt.Errorf("worker %d: %w", w, err))
			}
		})
	}
	result, err := measure(ctx, plan, &phase)
	if err != nil {
		cancel(err)
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	for w := range histograms {
		result.Latency.Merge(&histograms[w])
	}
	result.Ops = result.Latency.Count()
	return result, nil
}

func loop(ctx context.Context, worker int, phase *atomic.Int32, h *Histogram, op func(context.Context, int) error) error {
	start := time.Now()
	for ctx.Err() == nil {
		if err := op(ctx, worker); err != nil {
			return err
		}
		end := time.Now()
		switch phase.Load() {
		case measuring:
			h.Add(end.Sub(start))
		case done:
			return nil
		}
		start = end
	}
	return nil
}

// measure moves the phases along and returns how long the measured one was,
// with the CPU time that the server used in it.
func measure(ctx context.Context, plan Plan, phase *atomic.Int32) (*Result, error) {
	readCPU := plan.CPU
	if readCPU == nil {
		readCPU = func() (time.Duration, error) { return 0, nil }
	}
	if err := wait(ctx, plan.Warmup); err != nil {
		return nil, err
	}
	before, err := readCPU()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	phase.Store(measuring)
	if err = wait(ctx, plan.Duration); err != nil {
		return nil, err
	}
	phase.Store(done)
	elapsed := time.Since(start)
	after, err := readCPU()
	return &Result{Elapsed: elapsed, CPU: after - before}, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Each does op for every number below n, by several workers at once, and
// returns the first error. It fills servers before they are measured.
func Each(ctx context.Context, workers, n int, op func(ctx context.Context, worker, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := op(ctx, w, i); err != nil {
					cancel(fmt.Errorf("item %d of %d: %w", i, n, err))
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
