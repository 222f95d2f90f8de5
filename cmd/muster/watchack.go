package main

import (
	"context"
	"math/rand/v2"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// acker acknowledges what a stream's server asks to have acknowledged, so that
// a drain need not wait for people who watch: this program picks nothing.
type acker struct {
	registry *registry
	streamID string
	// wanted has room for one wish of each view; the reader of the stream waits
	// when it is full.
	wanted chan *musterv1.ViewHeader
	done   chan struct{}
}

// startAcker starts a goroutine that sends acknowledgements, one at a time,
// until ctx ends; then it closes done.
func startAcker(ctx context.Context, r *registry, streamID string, views int) *acker {
	a := &acker{registry: r, streamID: streamID, wanted: make(chan *musterv1.ViewHeader, views), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for {
			select {
			case h := <-a.wanted:
				a.send(ctx, h)
			case <-ctx.Done():
				return
			}
		}
	}()
	return a
}

// want asks for the acknowledgement of an update that was taken over.
func (a *acker) want(ctx context.Context, h *musterv1.ViewHeader) {
	select {
	case a.wanted <- h:
	case <-ctx.Done():
	}
}

func (a *acker) send(ctx context.Context, h *musterv1.ViewHeader) {
	spread := time.Duration(h.GetAckRequest().GetAckSpreadMs()) * time.Millisecond
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(spread) + 1)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// Whoever waits for a lost acknowledgement waits no longer than its deadline.
	_, _ = a.registry.AckWatch(ctx, &musterv1.AckWatchRequest{
		StreamId: a.streamID, Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewIds: []uint64{h.GetViewId()},
	})
}
