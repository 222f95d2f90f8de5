package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Stream is one stream of requests that are answered in order. Send and Recv
// are called from two goroutines.
type Stream interface {
	// Send sends the next request.
	Send() error
	// Recv waits for the next answer.
	Recv() error
	// Close ends the stream at once; Send and Recv that wait return.
	Close()
}

// Pipelined keeps plan.Workers requests under way on each stream, and counts
// answers. It closes the streams.
func Pipelined(ctx context.Context, plan Plan, streams []Stream) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var phase atomic.Int32
	counts := make([]uint64, len(streams))
	var wg sync.WaitGroup
	for i, s := range streams {
		fail := func(err error) {
			if err != nil && phase.Load() != done {
				cancel(fmt.Errorf("stream %d: %w", i, err))
			}
		}
		// A slot is a request that may be sent.
		slots := make(chan struct{}, plan.Workers)
		for range plan.Workers {
			slots <- struct{}{}
		}
		wg.Go(func() { fail(send(ctx, s, slots)) })
		wg.Go(func() {
			n, err := receive(ctx, s, &phase, slots)
			counts[i] = n
			fail(err)
		})
	}
	result, err := measure(ctx, plan, &phase)
	if err != nil {
		cancel(err)
	}
	cause := context.Cause(ctx)
	cancel(nil)
	for _, s := range streams {
		s.Close()
	}
	wg.Wait()
	if cause != nil {
		return nil, cause
	}
	for _, n := range counts {
		result.Ops += n
	}
	return result, nil
}

func send(ctx context.Context, s Stream, slots <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-slots:
		}
		if err := s.Send(); err != nil {
			return err
		}
	}
}

func receive(ctx context.Context, s Stream, phase *atomic.Int32, slots chan<- struct{}) (uint64, error) {
	var n uint64
	for ctx.Err() == nil {
		if err := s.Recv(); err != nil {
			return n, err
		}
		slots <- struct{}{} // never full: each answer frees the slot of its request
		switch phase.Load() {
		case measuring:
			n++
		case done:
			return n, nil
		}
	}
	return n, nil
}
