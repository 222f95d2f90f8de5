package muster

import (
	"context"
	"sync"
	"time"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/defaults"
)

// keeper renews all leases of a client on one stream. Its one goroutine runs
// from the first lease on.
type keeper struct {
	client *Client
	// wake has room for one: leases were added or removed, or it is closing.
	wake chan struct{}
	done chan struct{}

	// mu guards what follows. Sessions are told things without it.
	mu      sync.Mutex
	started bool
	closing bool
	leases  map[string]*keptLease
}

// keptLease is one lease and when it must be renewed.
type keptLease struct {
	lease
	session *session
	// due is when the next keepalive goes out; while one is unanswered it is
	// meaningless.
	due     time.Time
	pending bool
	// confirmed is when the last confirmed keepalive was sent.
	confirmed time.Time
	// unconfirmed counts answers in a row that did not confirm.
	unconfirmed int
	// late is how much too late the keeper ran, at worst, since confirmed.
	late time.Duration
	// lateAt is when that was.
	lateAt time.Time
}

func newKeeper(c *Client) *keeper {
	return &keeper{
		client: c,
		wake:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		leases: make(map[string]*keptLease),
	}
}

// add renews l from now on. sent is when the granting request was sent.
func (k *keeper) add(s *session, l lease, sent time.Time) {
	k.mu.Lock()
	k.leases[l.id] = &keptLease{
		lease: l, session: s, confirmed: sent, due: sent.Add(keepaliveDue(l.ttl, k.client.config.words())),
	}
	start := !k.started
	k.started = true
	k.mu.Unlock()
	if start && !k.client.start(k.run) {
		close(k.done)
	}
	k.nudge()
}

// remove renews a lease no longer, and tells when it was confirmed last.
func (k *keeper) remove(id string) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.nudge()
	kept, ok := k.leases[id]
	if !ok {
		return time.Time{}
	}
	delete(k.leases, id)
	return kept.confirmed
}

// close half-closes the stream, which is an intentional move, and joins.
func (k *keeper) close() {
	k.mu.Lock()
	k.closing = true
	started := k.started
	k.mu.Unlock()
	k.nudge()
	if started {
		<-k.done
	}
}

func (k *keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run opens one stream after the other for as long as there are leases.
func (k *keeper) run() {
	defer close(k.done)
	ctx := k.client.ctx
	var retries backoff.Backoff
	var choice serverChoice
	for k.waitForLeases(ctx) {
		err := k.serve(ctx, &choice, &retries)
		switch {
		case ctx.Err() != nil:
			return
		case choice.moving:
			k.allDue() // also what was left unanswered
			continue
		case err == nil:
			continue // nothing to renew
		}
		k.unconfirmed(err)
		delay := retries.Next(leaseBackoffCap(k.shortestTTL()), k.client.config.words())
		if retries.Failures() == 1 {
			delay = spread(defaults.FirstReconnect, k.client.config.words())
		}
		k.pause(ctx, max(delay, err.RetryAfter))
	}
}

// serve runs one stream to its end. The error is nil if it was ended by choice.
func (k *keeper) serve(ctx context.Context, choice *serverChoice, retries *backoff.Backoff) *Error {
	server, err := choice.acquire(ctx, k.client.servers)
	if err != nil {
		return err
	}
	stream, err := openKeepalive(ctx, k, server)
	if err != nil {
		k.client.servers.blame(server, err)
		return err
	}
	defer stream.close()
	began := time.Now()
	err = stream.run(choice)
	retries.StreamEnded(stream.answered, time.Since(began))
	k.client.config.telemetry.observe(StreamEnded{StreamKeepalive, server.address, resultOf(err), time.Since(began)})
	if err != nil {
		k.client.servers.blame(server, err)
	}
	return err
}

// waitForLeases is false once the keeper is to end.
func (k *keeper) waitForLeases(ctx context.Context) bool {
	for {
		k.mu.Lock()
		closing, count := k.closing, len(k.leases)
		k.mu.Unlock()
		if closing || ctx.Err() != nil {
			return false
		}
		if count > 0 {
			return true
		}
		select {
		case <-k.wake:
		case <-ctx.Done():
		}
	}
}

// pause waits, but not for leases that nobody holds any more.
func (k *keeper) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for !k.idle() {
		select {
		case <-timer.C:
			return
		case <-k.wake:
		case <-ctx.Done():
			return
		}
	}
}

// idle tells whether a stream is not needed any more.
func (k *keeper) idle() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closing || len(k.leases) == 0
}

// unconfirmed tells all sessions that their leases are not being renewed, and
// makes every lease due, so that a new stream begins by renewing them.
func (k *keeper) unconfirmed(err *Error) {
	for _, kept := range k.allDue() {
		kept.session.leaseUnconfirmed(kept.id, textBroken("keepalive", err), err)
	}
}

func (k *keeper) allDue() []*keptLease {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	all := make([]*keptLease, 0, len(k.leases))
	for _, kept := range k.leases {
		kept.pending, kept.due = false, now
		all = append(all, kept)
	}
	return all
}

func (k *keeper) shortestTTL() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	shortest := k.client.config.TTL
	for _, kept := range k.leases {
		shortest = min(shortest, kept.ttl)
	}
	return shortest
}

// serverChoice is which server the keeper uses. After two answers in a row
// without confirmation it tries each other server, each at most once per TTL:
// more would send a whole fleet around in circles while the store is away.
type serverChoice struct {
	avoid  *server
	moving bool
	tried  map[*server]time.Time
}

func (c *serverChoice) acquire(ctx context.Context, all *servers) (*server, *Error) {
	avoid := c.avoid
	c.avoid, c.moving = nil, false
	chosen, err := all.acquire(ctx, avoid)
	if err == nil {
		if c.tried == nil {
			c.tried = make(map[*server]time.Time)
		}
		c.tried[chosen] = time.Now()
	}
	return chosen, err
}

// move tells whether to leave a server that does not confirm, and if so
// arranges it.
func (c *serverChoice) move(from *server, ttl time.Duration) bool {
	for _, other := range from.all.list {
		if last, ok := c.tried[other]; other != from && (!ok || time.Since(last) >= ttl) {
			// Also if it turns out not to answer: it is not tried again at once.
			c.tried[other] = time.Now()
			from.all.failed(from)
			c.avoid, c.moving = from, true
			return true
		}
	}
	return false
}
