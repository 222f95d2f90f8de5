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

// Pipelined keeps up to plan.Workers requests under way on each stream, and
// counts answers. It closes the streams.
func Pipelined(ctx context.Context, plan Plan, streams []Stream) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var phase atomic.Int32
	counts := make([]uint64, len(streams))
	var wg sync.WaitGroup
	for i, s := range streams {
		p := &pipe{stream: s, phase: &phase, window: uint64(plan.Workers), freed: make(chan struct{}, 1)}
		fail := func(err error) {
			if err != nil && phase.Load() != done {
				cancel(fmt.Errorf("stream %d: %w", i, err))
			}
		}
		wg.Go(func() { fail(p.send(ctx)) })
		wg.Go(func() { fail(p.receive(ctx, &counts[i])) })
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

// pipe is a stream with a window of requests.
type pipe struct {
	stream   Stream
	phase    *atomic.Int32
	window   uint64
	answered atomic.Uint64
	// freed tells the sender, who may wait, that half of the window is free: a
	// wakeup for each answer would cost more than the answer.
	freed chan struct{}
}

func (p *pipe) send(ctx context.Context) error {
	for sent := uint64(0); ; sent++ {
		for sent-p.answered.Load() >= p.window {
			select {
			case <-ctx.Done():
				return nil
			case <-p.freed:
			}
		}
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		if err := p.stream.Send(); err != nil {
			return err
		}
	}
}

func (p *pipe) receive(ctx context.Context, counted *uint64) error {
	half := max(p.window/2, 1)
	for n := uint64(1); ctx.Err() == nil; n++ {
		if err := p.stream.Recv(); err != nil {
			return err
		}
		p.answered.Store(n)
		if n%half == 0 {
			select {
			case p.freed <- struct{}{}:
			default: // it was told already
			}
		}
		switch p.phase.Load() {
		case measuring:
			*counted++
		case done:
			return nil
		}
	}
	return nil
}
