package muster

import (
	"context"
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// ackTries is how often one acknowledgement is tried; a drain that misses it
// ends by its deadline.
const ackTries = 5

// acks are the acknowledgements that the open stream's server asked for. One
// goroutine per stream sends them, one at a time.
type acks struct {
	client *Client
	// wake has room for one: something was asked for or applied.
	wake chan struct{}

	// mu guards what follows. A core's mu may be taken inside of it.
	mu     sync.Mutex
	wanted map[uint64]*ackWanted // by view id
}

// ackWanted is what one view's server waits for.
type ackWanted struct {
	at Position
	// notBefore is when the random part of the spread is over.
	notBefore time.Time
	cores     []*core
}

func newAcks(c *Client) *acks {
	return &acks{client: c, wake: make(chan struct{}, 1), wanted: make(map[uint64]*ackWanted)}
}

func (a *acks) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// want asks for an acknowledgement of a view at a position, once every core
// that shows the view, and all their pickers, are there.
func (a *acks) want(viewID uint64, at Position, spreadMs uint32, cores []*core) {
	high, _ := bits.Mul64(a.client.config.words(), uint64(spreadMs)+1)
	w := &ackWanted{at, time.Now().Add(time.Duration(high) * time.Millisecond), slices.Clone(cores)}
	a.mu.Lock()
	if old := a.wanted[viewID]; old != nil && old.at.Epoch == at.Epoch && old.notBefore.Before(w.notBefore) {
		w.notBefore = old.notBefore // cumulative: the older wish must not wait longer
	}
	a.wanted[viewID] = w
	a.mu.Unlock()
	a.nudge()
}

// reset forgets all wishes: they belong to a stream that ended.
func (a *acks) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.wanted)
}

// next is the acknowledgement that can be sent now: the views that reached what
// was asked of them, and a revision that all of them reached. Without one, it
// is how long to wait for the next spread to be over; negative for ever.
func (a *acks) next(now time.Time) (ready []uint64, at Position, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait = -1
	for id, w := range a.wanted {
		reached := w.reached()
		if !reached.atLeast(w.at) {
			continue
		}
		if left := w.notBefore.Sub(now); left > 0 {
			if wait < 0 || left < wait {
				wait = left
			}
			continue
		}
		if len(ready) == 0 || reached.Epoch == at.Epoch {
			if len(ready) == 0 || reached.Revision < at.Revision {
				at = reached
			}
			ready = append(ready, id)
		}
	}
	slices.Sort(ready)
	return ready, at, wait
}

// reached is the least of what the cores applied.
func (w *ackWanted) reached() Position {
	reached := w.cores[0].applied()
	for _, k := range w.cores[1:] {
		other := k.applied()
		if other.Epoch != reached.Epoch {
			return Position{}
		}
		reached.Revision = min(reached.Revision, other.Revision)
	}
	return reached
}

// sent takes back what an acknowledgement covered.
func (a *acks) sent(ids []uint64, at Position) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if w := a.wanted[id]; w != nil && at.atLeast(w.at) {
			delete(a.wanted, id)
		}
	}
}

// run sends acknowledgements of one stream until ctx ends.
func (a *acks) run(ctx context.Context, s *server, streamID string) {
	for ctx.Err() == nil {
		ids, at, wait := a.next(time.Now())
		if len(ids) > 0 {
			a.send(ctx, s, &musterv1.AckWatchRequest{
				StreamId: streamID, Epoch: at.Epoch, Revision: at.Revision, ViewIds: ids,
			})
			a.sent(ids, at)
			continue
		}
		a.sleep(ctx, wait)
	}
}

// sleep waits for a wake-up, or at most so long; negative for ever.
func (a *acks) sleep(ctx context.Context, wait time.Duration) {
	var over <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-a.wake:
	case <-over:
	case <-ctx.Done():
	}
}

// send tries a few times. NOT_FOUND means that the stream is gone, and nobody
// waits for it any more.
func (a *acks) send(ctx context.Context, s *server, request *musterv1.AckWatchRequest) {
	a.client.budget.call()
	var retries backoff.Backoff
	for range ackTries {
		attempt, cancel := context.WithTimeout(ctx, defaults.CallTimeout)
		_, err := s.discovery().AckWatch(attempt, request)
		cancel()
		if err == nil {
			return
		}
		e := fromStatus(ctx, err, "ack", "", s.address)
		if !e.Retryable() || !sleep(ctx, a.client.delay(e, &retries, time.Second)) {
			return
		}
	}
}
