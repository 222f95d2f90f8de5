package section

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/payload"
)

// Expiry lets leases lapse that were registered and never renewed, and
// measures how long after its TTL, counted from the last acknowledgement, the
// last of them is seen to go.
//
//   - 1,000 leases with the same TTL, registered as fast as that goes.
//   - 100,000 leases whose TTLs end at the same moment, with lookups going on.
func Expiry(ctx context.Context, r *Run) error {
	for range Pick(r, min(r.Reps, 2), r.Reps) {
		if err := r.lapse(ctx, "muster", "expiry_1000", 1000, Pick(r, time.Second, 2*time.Second)); err != nil {
			return err
		}
		if r.Quick {
			continue
		}
		// Etcd grants no less.
		if err := r.lapse(ctx, "etcd", "expiry_1000_etcd", 1000, 2*time.Second); err != nil {
			return err
		}
	}
	for _, prefix := range []string{"expiry_1000", "expiry_1000_etcd"} {
		r.Medians(prefix+"_p50_ms", prefix+"_p99_ms", prefix+"_last_ms")
	}
	return r.expireAtOnce(ctx)
}

// lapse measures leases with the same TTL.
func (r *Run) lapse(ctx context.Context, name, key string, n int, ttl time.Duration) (err error) {
	d, err := r.lapsing(ctx, name)
	if d == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := newExpiry(n)
	if err = e.watch(ctx, d.Server); err != nil {
		return err
	}
	if err = e.register(ctx, d.Server, func() time.Duration { return ttl }); err != nil {
		return errors.Join(err, d.Process().Err())
	}
	if err = e.wait(ctx, d.Server); err != nil {
		return errors.Join(err, d.Process().Err())
	}
	r.sampleExpiry(key, e)
	return nil
}

// lapsing starts a server for one measurement of expiry.
func (r *Run) lapsing(ctx context.Context, name string) (*durable, error) {
	if err := r.CloseShared(); err != nil {
		return nil, err
	}
	return r.durable(ctx, name, drive.Config{Conns: UnaryConns})
}

func (r *Run) sampleExpiry(key string, e *expiry) {
	h, last := e.delays()
	r.Sample(key+"_p50_ms", milliseconds(h.Quantile(0.5)))
	r.Sample(key+"_p99_ms", milliseconds(h.Quantile(0.99)))
	r.Sample(key+"_last_ms", milliseconds(last))
	r.Logf("%s: %d leases granted in %v, removed with p50 %v, p99 %v after each one's TTL; the last %v after the last one's",
		key, len(e.ended), e.lastAck.Sub(e.firstAck), h.Quantile(0.5), h.Quantile(0.99), last)
}

// expiry is one measurement: instances with the keys from expiryKeys on.
type expiry struct {
	mu                sync.Mutex
	firstAck, lastAck time.Time
	// ended is when each lease's TTL is over, counted from its acknowledgement.
	ended []time.Time
	// seen is when the watcher was told that it is gone.
	seen []time.Time
	gone atomic.Int64
	done <-chan struct{}
}

// expiryKeys is where the keys of instances begin that lapse.
const expiryKeys = 3_000_000_000

func newExpiry(n int) *expiry {
	return &expiry{ended: make([]time.Time, n), seen: make([]time.Time, n)}
}

// watch opens the watcher.
func (e *expiry) watch(ctx context.Context, s drive.Server) error {
	done, err := s.(drive.Lapser).Removals(ctx, expiryKeys, len(e.seen), func(key uint64, at time.Time) {
		if i := key - expiryKeys; i < uint64(len(e.seen)) {
			e.seen[i] = at
			e.gone.Add(1)
		}
	})
	e.done = done
	return err
}

// register registers all instances; ttl gives each one's TTL when it is sent.
func (e *expiry) register(ctx context.Context, s drive.Server, ttl func() time.Duration) error {
	err := load.Each(ctx, 64, len(e.ended), func(ctx context.Context, worker, i int) error {
		granted, err := s.(drive.Lapser).Lapse(ctx, worker, expiryKeys+uint64(i), ttl())
		now := time.Now()
		e.ended[i] = now.Add(granted)
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.firstAck.IsZero() {
			e.firstAck = now
		}
		e.lastAck = now
		return err
	})
	if err != nil {
		return fmt.Errorf("register %d instances: %w", len(e.ended), err)
	}
	return nil
}

// end is when the last TTL is over.
func (e *expiry) end() time.Time {
	var end time.Time
	for _, t := range e.ended {
		if t.After(end) {
			end = t
		}
	}
	return end
}

// expiryPatience is how long after the last TTL all must be gone.
const expiryPatience = 30 * time.Second

// wait waits until the watcher saw all of them go.
func (e *expiry) wait(ctx context.Context, s drive.Server) error {
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(e.end()) + expiryPatience):
		return e.overdue(ctx, s)
	}
}

// overdue says what is wrong when not all of them are gone: whether the server
// still has them, or the watcher was not told.
func (e *expiry) overdue(ctx context.Context, s drive.Server) error {
	services, full := 0, 0
	for key := 0; key < len(e.seen); key += payload.ServiceInstances {
		services++
		if s.(drive.Reader).Complete(ctx, 0, expiryKeys+uint64(key), 0) != nil {
			full++
		}
	}
	return fmt.Errorf("%v after the last TTL, a watcher saw only %d of %d instances go; %d of %d services are not empty",
		expiryPatience, e.gone.Load(), len(e.seen), full, services)
}

// delays are those of all removals after their TTLs, and that of the last
// removal after the last TTL.
func (e *expiry) delays() (h load.Histogram, last time.Duration) {
	end := e.end()
	last = e.seen[0].Sub(end)
	for i, seen := range e.seen {
		h.Add(seen.Sub(e.ended[i]))
		last = max(last, seen.Sub(end))
	}
	return h, last
}
