package hub

import (
	"context"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// Room is how many bytes of a stream may wait in its transport until it is
	// given no more: what happens from then on is joined into one frame. It is
	// well below what grpc-go takes for a stream before it blocks (64 KiB).
	Room = 16 << 10
	// maxTurns is how many streams a sender takes at a time, and maxVisits how
	// many watchers it looks at for them, under the lock.
	maxTurns  = 32
	maxVisits = 256
)

// Sink takes the messages of one stream to its client. Calls do not overlap.
type Sink interface {
	// Send hands a message over, whose bytes are shared and must not be changed.
	// It must not block as long as less than Room bytes wait in the transport.
	// If there is a probe, and no error, its Taken must be called once the
	// transport has written the message. An error ends the stream.
	Send(message *[]byte, probe *Probe) error
}

// Probe goes with some of a stream's messages, to find out how much of what was
// handed over before it was written. Messages of a stream are written in order,
// so that one in a few kilobytes is enough.
type Probe struct {
	stream   *Stream
	position int64
}

// Taken tells that the transport has written the probe's message. It may be
// called from anywhere, once, and does not block.
func (p *Probe) Taken() {
	s := p.stream
	s.taken.Store(p.position)
	if s.parked.Swap(false) {
		s.hub.queue.hasRoom(s)
	}
}

// delivery is one stream's turn: what a sender that claimed it hands over.
type delivery struct {
	stream *Stream
	// One of these is set: the answer to subscriptions, an update, or what did
	// not fit into the transport of an update before.
	opened   *musterv1.Opened
	update   *update
	messages [][]byte
	err      error
}

// Send hands frames to the sinks until the context ends. As many may run as
// there are cores: they share the work.
func (h *Hub) Send(ctx context.Context) {
	var batch []delivery
	for {
		if batch = h.turn(batch, ctx.Err() == nil, time.Now()); len(batch) > 0 {
			for i := range batch {
				batch[i].deliver()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-h.queue.wake:
		}
	}
}

// turn ends a batch and claims the next.
func (h *Hub) turn(batch []delivery, claim bool, now time.Time) []delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range batch {
		h.delivered(&batch[i])
	}
	clear(batch)
	batch = batch[:0]
	if !claim {
		return batch
	}
	h.expireShares(now)
	for _, s := range h.queue.takeTaken() {
		h.offer(s)
	}
	batch = h.claimStreams(batch, now)
	batch = h.claimGroups(batch, now)
	if !h.queue.empty() {
		h.queue.signal()
	}
	return batch
}

// claimStreams takes streams with something of their own, for half a batch:
// they must not hold up the groups.
func (h *Hub) claimStreams(batch []delivery, now time.Time) []delivery {
	for len(batch) < (h.turns+1)/2 && h.queue.streams.len() > 0 {
		s := h.queue.streams.pop()
		s.waiting = false
		if s.closed || s.err != nil {
			continue
		}
		s.claimed = true
		d, ok := h.own(s, now)
		if s.claimed = ok; ok {
			batch = append(batch, d)
		}
	}
	return batch
}

// claimGroups takes watchers of groups that changed.
func (h *Hub) claimGroups(batch []delivery, now time.Time) []delivery {
	for n := 0; n < maxVisits && len(batch) < h.turns && h.queue.groups.len() > 0; {
		g := h.queue.groups.front()
		for ; g.visited < len(g.watchers) && n < maxVisits && len(batch) < h.turns; n++ {
			w := g.watchers[g.visited]
			g.visited++
			if u := h.visit(w, now); u != nil {
				batch = append(batch, delivery{stream: w.stream, update: u})
			}
		}
		if g.visited < len(g.watchers) {
			break
		}
		h.queue.endPass()
		n++
	}
	return batch
}

// visit claims a watcher's stream for what changed in its group. If the stream
// cannot take it now, the watcher waits until it can.
func (h *Hub) visit(w *watcher, now time.Time) *update {
	s := w.stream
	switch {
	case w.queued || s.err != nil:
		return nil
	case s.claimed || s.rest != nil || s.opened != nil || len(s.ready) > 0 || !s.hasRoom():
		s.enqueue(w)
		return nil
	}
	s.claimed = true
	u := h.next(w, now)
	if s.claimed = u != nil; s.claimed {
		s.sending = w
	}
	return u
}

// own is what a stream has to tell of its own.
func (h *Hub) own(s *Stream, now time.Time) (delivery, bool) {
	d := delivery{stream: s}
	switch {
	case s.rest != nil:
		d.messages, s.rest = s.rest, nil
		return d, true
	case s.opened != nil:
		d.opened, s.opened = s.opened, nil
		return d, true
	}
	for len(s.ready) > 0 {
		w := s.ready[0]
		if s.ready = s.ready[1:]; len(s.ready) == 0 {
			s.ready = nil
		}
		w.queued = false
		if d.update = h.next(w, now); d.update != nil {
			s.sending = w
			return d, true
		}
	}
	return d, false
}

// encode makes the messages of a delivery.
func (d *delivery) encode() [][]byte {
	switch {
	case d.messages != nil:
		return d.messages
	case d.opened != nil:
		return [][]byte{wrap(fieldOpened, must(d.opened))}
	}
	return d.update.encode()
}

// deliver hands over as much as the stream has room for.
func (d *delivery) deliver() {
	s := d.stream
	for d.messages = d.encode(); len(d.messages) > 0 && s.hasRoom(); d.messages = d.messages[1:] {
		m := &d.messages[0]
		if d.err = s.sink.Send(m, s.account(len(*m))); d.err != nil {
			return
		}
	}
}

// delivered ends a stream's turn.
func (h *Hub) delivered(d *delivery) {
	s := d.stream
	s.claimed = false
	if len(d.messages) > 0 {
		s.rest = d.messages
	} else {
		h.handedOver(s)
	}
	switch {
	case s.idle != nil:
		close(s.idle)
	case d.err != nil:
		s.end(d.err)
	default:
		h.offer(s)
	}
}

// handedOver tells that a whole update of a stream is with its transport.
func (h *Hub) handedOver(s *Stream) {
	if s.sending != nil {
		h.sent(s.sending)
		s.sending = nil
	}
}

// offer queues a stream that has something of its own to tell, or has it wait
// until its transport has room.
func (h *Hub) offer(s *Stream) {
	if s.sink == nil || s.claimed || s.waiting || s.closed || s.err != nil ||
		s.rest == nil && s.opened == nil && len(s.ready) == 0 {
		return
	}
	if !s.hasRoom() {
		s.parked.Store(true)
		// It may have got room between the two; then one of the two sides sees it.
		if !s.hasRoom() || !s.parked.Swap(false) {
			return
		}
	}
	s.waiting = true
	h.queue.streams.push(s)
	h.queue.signal()
}

// hasRoom tells whether less than Room bytes wait in the transport, as far as
// is known.
func (s *Stream) hasRoom() bool { return s.sent.Load()-s.taken.Load() < s.hub.room }

// account counts a message, and gives it a probe if the last one is some way
// back. So there is always one on its way when a stream has no room.
func (s *Stream) account(bytes int) *Probe {
	sent := s.sent.Load() + int64(bytes)
	s.sent.Store(sent)
	if sent-s.probed < s.hub.room/4 {
		return nil
	}
	s.probed = sent
	return &Probe{stream: s, position: sent}
}
