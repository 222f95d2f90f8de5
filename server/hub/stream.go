package hub

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector"
)

// Silence is how long a watcher hears nothing until it gets a Progress, give or
// take a fifth.
const Silence = 10 * time.Second

var (
	// ErrEpochBehind answers a subscription that knows a newer history.
	ErrEpochBehind = errors.New("the client knows a newer epoch than this server")
	// ErrEnded answers calls on a stream that has ended.
	ErrEnded = errors.New("the stream has ended")
	errReset = errors.New("the server loads another history")
)

// TooManyError answers subscriptions beyond the limit of a stream.
type TooManyError struct {
	// Subscriptions is how many the stream would have.
	Subscriptions int
}

// Error says how many there would be.
func (e *TooManyError) Error() string {
	return "the stream would have " + strconv.Itoa(e.Subscriptions) + " subscriptions"
}

// Client is who opened a stream.
type Client struct {
	// Name is what the client calls itself; Address is where it is.
	Name, Address string
	// AccessClass is what it may see; equal classes share groups.
	AccessClass string
	// Acks tells whether it acknowledges drains.
	Acks bool
}

// Request is one subscription that a client asks for.
type Request struct {
	ID uint32
	// Selector is nil if Refusal is set.
	Selector *selector.Selector
	Resume   *musterv1.KnownView
	// Refusal is why the server's edge refused it.
	Refusal *musterv1.Refusal
}

// Stream is the server's side of one Watch call. Its methods may be called
// from any goroutine.
type Stream struct {
	// What each delivery touches lies together: with thousands of streams, a
	// delivery costs mostly what is not in a cache.

	hub  *Hub
	sink Sink
	// sent is how many bytes were ever handed to the transport, and taken how
	// many of them it is known to have written. Whoever claimed the stream
	// writes sent, and probed, which is where the last probe went. parked tells
	// that the stream is to be offered to the senders when there is room again.
	sent   atomic.Int64
	taken  atomic.Int64
	probed int64
	parked atomic.Bool

	// What follows is guarded by hub.mu.

	// waiting tells that the stream is in the senders' queue, claimed that one
	// of them has it. sending is whose update that is, and rest the messages
	// of it that did not fit into the transport yet.
	waiting, claimed, closed bool
	sending                  *watcher
	rest                     [][]byte
	// opened answers the subscriptions that were not answered yet; nil if
	// there are none.
	opened *musterv1.Opened
	// ready are the watchers that have something to tell beside, or before,
	// the pass of their group.
	ready []*watcher
	err   error
	// idle is closed when the sender lets go of a stream that was closed.
	idle chan struct{}

	subs     map[uint32]*watcher
	watchers map[uint64]*watcher
	// progressAt is the earliest time at which some watcher may need a Progress.
	progressAt time.Time

	// Never changed.

	ID     string
	client Client
	done   chan struct{}
}

// watcher is one view on one stream: a cursor.
type watcher struct {
	stream *Stream
	group  *group
	index  int // in the group's watchers
	subs   int
	// cursor is the revision that the client has been told of.
	cursor uint64
	// base is the oldest revision whose set the client may still hold: where
	// it began, or what it acknowledged last.
	base uint64
	// pending is a decision that was made but not sent; nil once it is.
	pending *decision
	// upTo is the revision up to which nothing has to be sent, though the
	// cursor is before it: there the client's set was found to be the same.
	upTo uint64
	// held tells that the client held some state before its pending snapshot.
	held    bool
	queued  bool
	wantAck bool
	acked   uint64
	drains  []*drain // those that wait for it
	// progressAt is when it has been silent for long enough, which takes silence.
	progressAt time.Time
	silence    time.Duration
}

// Open makes a stream, whose messages the senders hand to a sink. Close must
// follow.
func (h *Hub) Open(c Client, sink Sink) *Stream {
	s := &Stream{
		ID: randomID(), hub: h, client: c, sink: sink, done: make(chan struct{}),
		subs: map[uint32]*watcher{}, watchers: map[uint64]*watcher{},
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[s.ID] = s
	return s
}

// Find finds an open stream by its id, or returns nil.
func (h *Hub) Find(id string) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[id]
}

// Done is closed when the stream was ended from the server's side; Err says why.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Err is why the stream was ended, or nil.
func (s *Stream) Err() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.err
}

// Close ends the stream, and returns when its sink is not used any more. It is
// idempotent. Drains wait a while for its client to turn up again.
func (s *Stream) Close(now time.Time) {
	if idle := s.close(now); idle != nil {
		<-idle
	}
}

func (s *Stream) close(now time.Time) (idle <-chan struct{}) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	delete(h.streams, s.ID)
	for _, w := range s.watchers {
		h.leaveGroup(w)
		h.disconnected(w, now)
	}
	if s.claimed {
		s.idle = make(chan struct{})
	}
	return s.idle
}

// end makes the owner end the stream with an error.
func (s *Stream) end(err error) {
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// enqueue marks a watcher as having something to tell on its own.
func (s *Stream) enqueue(w *watcher) {
	if w.queued {
		return
	}
	w.queued = true
	s.ready = append(s.ready, w)
	s.hub.offer(s)
}

func silence() time.Duration {
	return Silence*4/5 + rand.N(Silence*2/5)
}

// Remind makes those watchers say something that have been silent for long, and
// tells when to call it again.
func (s *Stream) Remind(now time.Time) (wait time.Duration) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if !now.Before(s.progressAt) {
		s.findSilent(now)
	}
	return s.progressAt.Sub(now)
}

// findSilent queues the watchers that are due for a Progress, and finds out
// when to look again.
func (s *Stream) findSilent(now time.Time) {
	s.hub.expireShares(now)
	s.progressAt = now.Add(Silence)
	for _, w := range s.watchers {
		if !w.progressAt.After(now) {
			s.enqueue(w)
			continue
		}
		if w.progressAt.Before(s.progressAt) {
			s.progressAt = w.progressAt
		}
	}
}

// next builds what a watcher gets now, or nil. It moves the cursor.
func (h *Hub) next(w *watcher, now time.Time) *update {
	g, head := w.group, h.view.Revision
	d := decision{kind: progressUpdate}
	switch {
	case w.pending != nil:
		d = *w.pending
		if d.kind != snapshotUpdate && g.changed > max(w.cursor, w.upTo) {
			d = h.catchUp(w)
		}
	case g.changed > w.cursor:
		if u := g.continuing(w.cursor, w.wantAck, now); u != nil {
			return h.told(w, u, now)
		}
		d = h.catchUp(w)
	case w.wantAck || !w.progressAt.After(now):
	default:
		return nil
	}
	k := updateKey{kind: d.kind, to: head, cause: d.cause, ack: w.wantAck}
	if d.kind == deltaUpdate {
		k.from = w.cursor
	}
	u := g.shared(k, now)
	if u == nil {
		u = h.build(g, k, now)
		h.share(u)
	}
	return h.told(w, u, now)
}

// told moves a watcher's cursor to where an update leads.
func (h *Hub) told(w *watcher, u *update, now time.Time) *update {
	if !w.held {
		w.base, w.held = u.to, true
	}
	w.pending, w.cursor, w.wantAck = nil, u.to, false
	w.progressAt = now.Add(w.silence)
	h.count(u.kind)
	if g := w.group; g.changed > u.to && !g.comesTo(w) {
		w.stream.enqueue(w)
	}
	return u
}

// catchUp is how a watcher gets from its cursor to the head: by a delta, or,
// when it was too slow for the logs, by the whole set.
func (h *Hub) catchUp(w *watcher) decision {
	if w.group.reaches(h.history, w.cursor) {
		return decision{kind: deltaUpdate}
	}
	return decision{kind: snapshotUpdate, cause: musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED}
}

func (h *Hub) build(g *group, k updateKey, now time.Time) *update {
	u := &update{updateKey: k, group: g, view: h.view, built: now, header: &musterv1.ViewHeader{
		ViewId: g.viewID, Epoch: h.view.Epoch, Revision: k.to, Digest: g.digest, Count: g.count,
		ServerUptimeMs: uint64(now.Sub(h.opts.Started).Milliseconds()),
	}}
	if k.ack {
		u.header.AckRequest = &musterv1.AckRequest{AckSpreadMs: ackSpread(len(h.streams))}
	}
	if k.kind == deltaUpdate {
		g.delta(k.from, u)
		u.empty = len(u.instances)+len(u.states)+len(u.removals) == 0
	}
	return u
}

func (h *Hub) count(k updateKind) {
	switch k {
	case snapshotUpdate:
		h.stats.Snapshots++
	case deltaUpdate:
		h.stats.Deltas++
	case progressUpdate:
		h.stats.Progress++
	}
}
