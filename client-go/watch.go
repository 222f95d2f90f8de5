package muster

import (
	"context"
	"maps"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// watchLane keeps one stream open that carries some of the subscriptions of a
// client, all of them unless they are more than servers take on one stream. Its
// goroutine runs from the first subscription on and is the only one who applies
// frames to its cores.
type watchLane struct {
	watcher *watcher
	acks    *acks
	// wake has room for one: the set of subscriptions changed.
	wake chan struct{}
	// cores and version, which rises with each change of them, are guarded by
	// the watcher's mu.
	cores   map[*core]struct{}
	version uint64

	// What follows is the goroutine's own.

	// epoch is the highest that was seen and not given up; lastGood is when a
	// server of it answered last.
	epoch    uint64
	lastGood time.Time
	// answered: a server opened a stream, so that epoch is not only from disk.
	answered bool
	retries  backoff.Backoff
	// oneByOne: a server refused several subscriptions together, so they are
	// asked for one by one to find the one that it means.
	oneByOne bool
}

func newWatchLane(w *watcher, epoch uint64) *watchLane {
	return &watchLane{
		watcher:  w,
		acks:     newAcks(w.client),
		wake:     make(chan struct{}, 1),
		cores:    make(map[*core]struct{}),
		epoch:    epoch,
		lastGood: time.Now(),
	}
}

func (l *watchLane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// changedLocked tells the goroutine that the cores changed. The watcher's mu is
// held.
func (l *watchLane) changedLocked() {
	l.version++
	l.nudge()
}

// state is how many cores there are, and whether the client closes.
func (l *watchLane) state() (count int, closed bool) {
	l.watcher.mu.Lock()
	defer l.watcher.mu.Unlock()
	return len(l.cores), l.watcher.closed
}

func (l *watchLane) count() int {
	count, _ := l.state()
	return count
}

// wanted are the cores that a stream should carry, oldest first.
func (l *watchLane) wanted() []*core {
	l.watcher.mu.Lock()
	defer l.watcher.mu.Unlock()
	return sorted(maps.Keys(l.cores))
}

// changes tells how often the cores changed so far.
func (l *watchLane) changes() uint64 {
	l.watcher.mu.Lock()
	defer l.watcher.mu.Unlock()
	return l.version
}

// waitForCores is false once the watcher is to end.
func (l *watchLane) waitForCores(ctx context.Context) bool {
	for {
		count, closed := l.state()
		if closed || ctx.Err() != nil {
			return false
		}
		if count > 0 {
			return true
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
		}
	}
}

// run opens one stream after the other for as long as there are subscriptions.
func (l *watchLane) run() {
	ctx := l.watcher.client.ctx
	for l.waitForCores(ctx) {
		s, err := l.open(ctx, nil)
		if s != nil {
			err = l.follow(ctx, s)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		l.watcher.setFailure(err)
		l.watcher.client.config.Logger.Warn(textBroken("watch", err))
		for _, k := range l.wanted() {
			k.lostStream()
		}
		if !l.pause(ctx, max(err.RetryAfter, l.delay())) {
			return
		}
	}
}

// delay is how long to wait after a stream that ended: at first only so long
// that the clients of a server that stopped do not come all at once.
func (l *watchLane) delay() time.Duration {
	word := l.watcher.client.config.words()
	if delay := l.retries.Next(backoff.EndpointCap, word); l.retries.Failures() > 1 {
		return delay
	}
	return spread(defaults.FirstReconnect, word)
}

// pause waits, but not for subscriptions that nobody wants any more.
func (l *watchLane) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for l.count() > 0 {
		select {
		case <-timer.C:
			return true
		case <-l.wake:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// follow serves a stream, and its successors when it is left by choice, to the
// end. The successor is opened before the stream is left, so that nobody goes
// unwatched in between.
func (l *watchLane) follow(ctx context.Context, s *watchStream) *Error {
	for {
		next, err := s.run() //nolint:contextcheck // the stream's own context is made of ctx
		if next != streamHandover {
			s.close(err)
			l.retries.StreamEnded(s.messages > 0, time.Since(s.began))
			return err
		}
		successor, err := l.open(ctx, s)
		switch {
		case err != nil, successor == nil:
			s.stay()
		case s.isolated && successor.server == s.server:
			successor.close(nil)
			s.stay()
		default:
			s.close(nil)
			s = successor
			s.takeOver()
		}
	}
}

// open opens a stream and waits for its first frame. There is neither stream
// nor error if the subscriptions should be looked at again.
func (l *watchLane) open(ctx context.Context, left *watchStream) (*watchStream, *Error) {
	chosen, err := l.choose(ctx, left)
	if err != nil {
		return nil, err
	}
	l.watcher.limit(l, int(chosen.limits.Load().GetSubscriptionsPerStream()))
	cores := l.wanted()
	if len(cores) == 0 {
		return nil, nil
	}
	if l.oneByOne {
		cores = cores[:1]
	}
	s := newWatchStream(ctx, l, chosen, cores)
	opened, err := s.open(l.request(cores))
	if err == nil {
		err = l.checkEpoch(chosen, opened)
	}
	if err != nil {
		s.close(err)
		return nil, l.notOpened(chosen, cores, err)
	}
	s.first = opened
	if left == nil {
		s.takeOver()
	}
	return s, nil
}

// choose is the server of the next stream: another one if the one that is left
// cannot reach its store, the next in turn if it is left by choice.
func (l *watchLane) choose(ctx context.Context, left *watchStream) (*server, *Error) {
	all := l.watcher.client.servers
	switch {
	case left == nil:
		return all.acquire(ctx, nil)
	case left.isolated:
		return all.acquire(ctx, left.server)
	default:
		return all.handover(ctx, left.server)
	}
}

// request asks for cores, each from its own position.
func (l *watchLane) request(cores []*core) *musterv1.WatchRequest {
	_, clusterID, _ := l.watcher.client.servers.status()
	request := &musterv1.WatchRequest{ClusterId: clusterID}
	for _, k := range cores {
		request.Subscriptions = append(request.Subscriptions, l.subscription(k))
	}
	return request
}

func (l *watchLane) subscription(k *core) *musterv1.Subscription {
	l.checkDisk(k)
	s := &musterv1.Subscription{SubscriptionId: k.id, Selector: k.asked.proto(), Resume: k.frames.known()}
	if l.acceptsLower() && k.frames.position().Epoch == l.epoch {
		s.Resume = nil // a server of a lower epoch would refuse it
	}
	return s
}

// checkDisk decides whether a position from disk is continued: not if it is of
// another cluster, or of an epoch above that of a server that serves us.
func (l *watchLane) checkDisk(k *core) {
	if k.diskCluster == nil {
		return
	}
	_, clusterID, _ := l.watcher.client.servers.status()
	same := *k.diskCluster == clusterID
	k.diskCluster = nil
	switch epoch := k.frames.position().Epoch; {
	case !same, l.answered && epoch > l.epoch:
		k.frames = newFrameState()
	default:
		l.epoch = max(l.epoch, epoch)
	}
}

// acceptsLower tells whether a lower epoch is better than nothing by now.
func (l *watchLane) acceptsLower() bool {
	return l.epoch > 0 && time.Since(l.lastGood) >= defaults.LowerEpochAfter
}

// checkEpoch refuses servers of an older history than was seen.
func (l *watchLane) checkEpoch(s *server, opened *musterv1.Opened) *Error {
	if err := l.watcher.client.servers.checkCluster(s.address, opened.GetClusterId()); err != nil {
		return err
	}
	epoch := opened.GetEpoch()
	if epoch < l.epoch {
		if !l.acceptsLower() {
			return epochBehindError(s.address, epoch, l.epoch)
		}
		l.watcher.client.config.telemetry.observe(EpochRegressed{s.address, l.epoch, epoch})
		l.watcher.client.config.Logger.Error(textEpochBehind(s.address, epoch, l.epoch) + "; accepted, nothing else answers")
	}
	l.epoch = epoch
	l.answered = true
	l.lastGood = time.Now()
	return nil
}

// notOpened decides what a refused stream means: for a single subscription its
// end, for several that they are asked for one by one.
func (l *watchLane) notOpened(s *server, cores []*core, err *Error) *Error {
	switch {
	case !refusal(err):
		l.watcher.client.servers.blame(s, err)
		return err
	case len(cores) > 1:
		l.oneByOne = true
	default:
		l.watcher.refuse(cores[0], err)
	}
	return nil
}

// refusal tells whether an error means the subscription and not the server.
func refusal(err *Error) bool {
	switch err.Reason {
	case ReasonInvalidArgument, ReasonLimitExceeded, ReasonForbidden, ReasonFeatureNotServed:
		return true
	default:
		return false
	}
}

func epochBehindError(address string, got, want uint64) *Error {
	e := newError(ReasonEpochBehind, codes.Unavailable, "watch", "", textEpochBehind(address, got, want))
	e.Server = address
	return e
}

func violationError(address, what string) *Error {
	e := newError(ReasonProtocolViolation, codes.Internal, "watch", "", textViolation(address, what))
	e.Server = address
	return e
}
