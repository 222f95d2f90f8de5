package hub

import "time"

// Next is what the senders would hand over of a stream next, for tests that
// take it by hand: the messages of one frame, or nil if there is none; wait is
// then how long until there may be a Progress.
func (s *Stream) Next(now time.Time) (messages [][]byte, wait time.Duration) {
	wait = s.Remind(now)
	d, ok := s.take(now)
	if !ok {
		return nil, wait
	}
	return d.encode(), 0
}

func (s *Stream) take(now time.Time) (delivery, bool) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handedOver(s)
	for _, w := range s.watchers {
		if w.group.changed > w.cursor {
			s.enqueue(w)
		}
	}
	return h.own(s, now)
}
