package muster

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// streamEnd is why a stream is served no longer.
type streamEnd int

const (
	// streamBroken: by an error, or because nothing is subscribed.
	streamBroken streamEnd = iota
	// streamHandover: another one should be opened, and this one left then.
	streamHandover
)

// watchStream is one open Watch stream. The lane's goroutine owns it; its
// own goroutines only read, acknowledge and make one UpdateWatch call.
type watchStream struct {
	lane   *watchLane
	server *server
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// frames has no room: a client that is slow is told less, not later.
	frames chan *musterv1.WatchResponse
	failed chan error
	// updated has room for the result of the one call that is under way.
	updated  chan watchUpdate
	updating bool

	first *musterv1.Opened
	id    string
	// requested are the cores that were asked for on this stream, by id.
	requested map[uint32]*core
	// unanswered are those that Opened did not answer yet, and until when it must.
	unanswered map[uint32]time.Time
	// resumed tells which of the first of them were asked for with a position.
	resumed map[uint32]bool
	// views are the cores by the view whose frames they get.
	views    map[uint64][]*core
	clock    rules.StreamClock
	began    time.Time
	messages int
	isolated bool
	// synced is the lane's version that the stream is at, 0 for none; unwanted
	// are subscriptions that the server still has.
	synced   uint64
	unwanted []uint32
	// isOpen: Opened was received.
	isOpen bool

	idleAt, handoverAt time.Time
}

func newWatchStream(ctx context.Context, l *watchLane, s *server, cores []*core) *watchStream {
	stream := &watchStream{
		lane: l, server: s,
		frames:     make(chan *musterv1.WatchResponse),
		failed:     make(chan error, 1),
		updated:    make(chan watchUpdate, 1),
		requested:  make(map[uint32]*core, len(cores)),
		unanswered: make(map[uint32]time.Time),
		resumed:    make(map[uint32]bool, len(cores)),
		views:      make(map[uint64][]*core),
		began:      time.Now(),
	}
	stream.ctx, stream.cancel = context.WithCancel(ctx)
	for _, k := range cores {
		stream.requested[k.id] = k
		stream.unanswered[k.id] = stream.began.Add(defaults.CallTimeout)
	}
	return stream
}

// open sends the request and waits for Opened.
func (s *watchStream) open(request *musterv1.WatchRequest) (*musterv1.Opened, *Error) {
	stream, err := s.server.discovery().Watch(s.ctx, request)
	if err != nil {
		return nil, s.error(err)
	}
	for _, sub := range request.GetSubscriptions() {
		s.resumed[sub.GetSubscriptionId()] = sub.GetResume() != nil
	}
	s.tasks.Go(func() { s.read(stream) })
	timer := time.NewTimer(defaults.CallTimeout)
	defer timer.Stop()
	select {
	case frame := <-s.frames:
		if opened := frame.GetOpened(); opened != nil {
			s.isOpen = true
			s.lane.watcher.client.config.telemetry.observe(StreamOpened{StreamWatch, s.server.address})
			return opened, nil
		}
		return nil, violationError(s.server.address, "the first frame is not Opened")
	case err := <-s.failed:
		return nil, s.error(err)
	case <-timer.C:
		return nil, s.quiet(defaults.CallTimeout)
	}
}

func (s *watchStream) read(stream musterv1.DiscoveryService_WatchClient) {
	for {
		frame, err := stream.Recv()
		if err != nil {
			s.failed <- err
			return
		}
		select {
		case s.frames <- frame:
		case <-s.ctx.Done():
			s.failed <- s.ctx.Err()
			return
		}
	}
}

// takeOver makes this the stream that the cores follow.
func (s *watchStream) takeOver() {
	s.lane.acks.reset()
	for id, k := range s.requested {
		k.frames.BeginStream(s.resumed[id])
		k.update = update{}
	}
	s.id = s.first.GetStreamId()
	s.opened(s.first)
	s.stay()
	s.idleAt = time.Now().Add(defaults.IdleStreamTimeout)
	s.tasks.Go(func() { s.lane.acks.run(s.ctx, s.server, s.id) })
}

// stay puts off leaving the stream by choice: for about an hour, or if its
// server is isolated until the next look for another.
func (s *watchStream) stay() {
	wait := defaults.StreamLifetime*4/5 + spread(defaults.StreamLifetime*2/5, s.lane.watcher.client.config.words())
	if s.isolated && len(s.lane.watcher.client.servers.list) > 1 {
		wait = defaults.IsolatedRetry
	}
	s.handoverAt = time.Now().Add(wait)
}

// close ends the stream and joins its goroutines. The error is why; nil if by
// choice.
func (s *watchStream) close(err *Error) {
	s.cancel()
	s.tasks.Wait()
	if s.isOpen {
		s.lane.watcher.client.config.telemetry.observe(StreamEnded{
			StreamWatch, s.server.address, resultOf(err), time.Since(s.began),
		})
	}
}

// run serves the stream until it breaks, should be left, or is not needed.
func (s *watchStream) run() (streamEnd, *Error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.syncSubscriptions()
		if s.lane.count() == 0 {
			return streamBroken, nil
		}
		timer.Reset(time.Until(s.nextDeadline()))
		select {
		case frame := <-s.frames:
			if err := s.take(frame); err != nil {
				return streamBroken, err
			}
		case err := <-s.failed:
			e := s.error(err)
			s.lane.watcher.client.servers.blame(s.server, e)
			return streamBroken, e
		case result := <-s.updated:
			if err := s.tookUpdate(result); err != nil {
				return streamBroken, err
			}
		case <-s.lane.wake:
		case <-timer.C:
			if end, err, over := s.deadlinePassed(time.Now()); over {
				return end, err
			}
		}
	}
}

// nextDeadline is when deadlinePassed has something to say.
func (s *watchStream) nextDeadline() time.Time {
	next := s.idleAt
	if s.handoverAt.Before(next) {
		next = s.handoverAt
	}
	for _, at := range s.unanswered {
		if at.Before(next) {
			next = at
		}
	}
	for _, k := range s.requested {
		if !k.retryAfter.IsZero() && k.retryAfter.Before(next) {
			next = k.retryAfter
		}
	}
	return next
}

func (s *watchStream) deadlinePassed(now time.Time) (end streamEnd, err *Error, over bool) {
	if !now.Before(s.idleAt) {
		s.server.swallows()
		s.lane.watcher.client.servers.failed(s.server)
		return streamBroken, s.quiet(defaults.IdleStreamTimeout), true
	}
	for _, at := range s.unanswered {
		if !now.Before(at) {
			s.server.swallows()
			s.lane.watcher.client.servers.failed(s.server)
			return streamBroken, s.quiet(defaults.CallTimeout), true
		}
	}
	for _, k := range s.requested {
		if !k.retryAfter.IsZero() && !now.Before(k.retryAfter) {
			k.retryAfter = time.Time{}
			return streamBroken, nil, true // reopened without position
		}
	}
	return streamHandover, nil, !now.Before(s.handoverAt)
}

func (s *watchStream) error(err error) *Error {
	return fromStatus(s.lane.watcher.client.ctx, err, "watch", "", s.server.address)
}

func (s *watchStream) quiet(after time.Duration) *Error {
	e := newError(ReasonDeadline, codes.DeadlineExceeded, "watch", "", textQuietStream(s.server.address, after))
	e.Server = s.server.address
	return e
}
