package mustertest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Address is what clients of a test registry are given as its server. Only
// [Registry.Dial] knows it.
const Address = "registry.test:7070"

// Registry is a registry in memory: one server with its own history. It is safe
// for concurrent use.
type Registry struct {
	t       testing.TB // nil outside of a test
	network *network
	server  *grpc.Server
	// stop is closed to end the goroutine that lets leases expire; tasks joins
	// it and the server.
	stop      chan struct{}
	closeOnce sync.Once
	tasks     sync.WaitGroup

	// mu guards what follows, and is held for moments only.
	mu sync.Mutex
	// serverID and began are those of the server's last start.
	serverID string
	began    time.Time
	state    state
	// recoveringUntil is when lost history counts as made up for.
	recoveringUntil time.Time
	streams         map[string]*stream
	drains          map[entryName]*drain
	ended           []ended
	// changed is closed and replaced whenever somebody may wait for what
	// happened.
	changed chan struct{}
}

// NewRegistry starts an empty registry for a test, and closes it with the test.
// Within a [testing/synctest] bubble all of it, clients included, runs in the
// bubble's time.
func NewRegistry(t testing.TB) *Registry {
	t.Helper()
	r := Start()
	r.t = t
	t.Cleanup(r.Close)
	return r
}

// Start starts an empty registry outside of a test, for programs; [Registry.Close]
// must follow. What would fail a test then panics.
func Start() *Registry {
	r := &Registry{
		network:  newNetwork(),
		serverID: newLeaseID(),
		began:    time.Now(),
		state:    newState(1),
		streams:  map[string]*stream{},
		drains:   map[entryName]*drain{},
		changed:  make(chan struct{}),
		stop:     make(chan struct{}),
	}
	r.server = r.newServer()
	r.tasks.Go(r.sweep)
	r.tasks.Go(func() { _ = r.server.Serve(gate{r.network.memory, r.network}) }) // ends by Close
	return r
}

// Close stops the registry and joins its goroutines. Clients see their
// connections break. It is idempotent.
func (r *Registry) Close() {
	r.closeOnce.Do(func() { close(r.stop) })
	r.server.Stop()
	r.tasks.Wait()
}

// Client makes a client of the registry, and closes it with the test: before the
// registry if that was made for the same test. Outside of a test the caller
// closes it. Wrong options fail the test.
func (r *Registry) Client(options ...muster.Option) *muster.Client {
	if r.t != nil {
		r.t.Helper()
	}
	options = append([]muster.Option{muster.WithDial(r.Dial)}, options...)
	c, err := muster.New([]string{Address}, options...)
	if err != nil {
		r.fail("mustertest: client: %v", err)
		return nil
	}
	if r.t != nil {
		r.t.Cleanup(func() { _ = c.Close() }) // never fails
	}
	return c
}

// Dial connects to the registry in memory, whatever the address, for
// [muster.WithDial]. While the registry is cut off it is refused.
func (r *Registry) Dial(ctx context.Context, _ string) (net.Conn, error) { return r.network.dial(ctx) }

// Serve serves the registry on a listener too, such as one of TCP for another
// process, until [Registry.Close] or until the listener is closed. While the
// registry is cut off, connections are closed as soon as they are accepted. The
// error is nil after Close.
func (r *Registry) Serve(listener net.Listener) error {
	return r.server.Serve(gate{listener, r.network})
}

// fail fails the test, or panics outside of one.
func (r *Registry) fail(format string, args ...any) {
	if r.t == nil {
		panic(fmt.Sprintf(format, args...))
	}
	r.t.Helper()
	r.t.Fatalf(format, args...)
}

// broadcast wakes everybody who waits for a change.
func (r *Registry) broadcast() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// commit makes changes history and tells everybody.
func (r *Registry) commit(c *commit) {
	c.end()
	if len(c.changes) == 0 {
		return
	}
	r.drained(c)
	r.broadcast()
}

// position is where history stands, and what is closed when it goes on.
func (r *Registry) position() (epoch, revision uint64, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.epoch, r.state.revision, r.changed
}

// sweep lets leases expire, and ends recovery, until it is stopped.
func (r *Registry) sweep() {
	for {
		wait, changed := r.expireDue()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-r.stop:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// expireDue expires the leases whose deadline has come, and tells for how long
// nothing else is due.
func (r *Registry) expireDue() (wait time.Duration, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	c := r.state.begin(now)
	wait = time.Hour
	for _, l := range r.state.leases {
		switch {
		case l.deadline.IsZero():
		case now.Before(l.deadline):
			wait = min(wait, l.deadline.Sub(now))
		default:
			c.endLease(l, musterv1.RemovalReason_REMOVAL_REASON_EXPIRED)
		}
	}
	r.commit(c)
	switch {
	case r.recovering(now):
		wait = min(wait, r.recoveringUntil.Sub(now))
	case !r.recoveringUntil.IsZero():
		r.recoveringUntil = time.Time{}
		r.broadcast() // frames go without the flag
	}
	return wait, r.changed
}
