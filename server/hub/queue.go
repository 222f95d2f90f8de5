package hub

import "sync"

// queue is what the senders have to do: groups with changes that some of their
// watchers were not told of, and streams with something of their own to tell.
// It is guarded by the hub's lock, but for what its comment says.
type queue struct {
	groups  fifo[*group]
	streams fifo[*Stream]
	// wake lets one waiting sender go; whoever leaves work behind wakes the next.
	wake chan struct{}

	mu sync.Mutex // guards taken, and is a leaf
	// taken are the streams whose transport has room again.
	taken []*Stream
}

func newQueue() queue { return queue{wake: make(chan struct{}, 1)} }

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// offerGroup queues a group for a pass over its watchers. If one is under way,
// those who had their turn get another.
func (q *queue) offerGroup(g *group) {
	switch {
	case len(g.watchers) == 0:
	case g.queued:
		g.again = g.again || g.visited > 0
	default:
		g.queued = true
		q.groups.push(g)
		q.signal()
	}
}

// endPass takes the first group off the queue, or to its end.
func (q *queue) endPass() {
	g := q.groups.pop()
	g.visited = 0
	if g.queued = g.again; g.again {
		g.again = false
		q.groups.push(g)
	}
}

// hasRoom notes that a stream may be offered again. It is called without the
// hub's lock.
func (q *queue) hasRoom(s *Stream) {
	q.mu.Lock()
	q.taken = append(q.taken, s)
	q.mu.Unlock()
	q.signal()
}

func (q *queue) takeTaken() []*Stream {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.taken
	q.taken = nil
	return t
}

func (q *queue) empty() bool { return q.groups.len() == 0 && q.streams.len() == 0 }

// fifo is a queue that gives its memory back once it is empty.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) front() T { return f.items[f.head] }

func (f *fifo[T]) push(x T) {
	if f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, x)
}

func (f *fifo[T]) pop() T {
	var none T
	x := f.items[f.head]
	f.items[f.head] = none
	if f.head++; f.head == len(f.items) {
		*f = fifo[T]{}
	}
	return x
}
