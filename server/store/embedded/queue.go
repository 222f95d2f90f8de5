package embedded

import "github.com/muster-registry/muster/server/store"

// proposal is a mutation that waits, and whom to tell.
type proposal struct {
	mutation store.Mutation
	done     func(store.Outcome, error)
	invalid  error // what Check said
	bound    int   // more than it takes in a frame
}

func newProposal(m store.Mutation, done func(store.Outcome, error)) proposal {
	p := proposal{mutation: m, done: done, invalid: m.Check()}
	if p.invalid == nil {
		p.bound = boundOf(&p.mutation)
	}
	return p
}

// queue holds proposals in the order in which they came, within QueueLength
// and QueueBytes.
type queue struct {
	proposals []proposal
	head      int // of those that wait; what is before it is empty
	bytes     int
}

const (
	// batchLength bounds the proposals that one frame may hold.
	batchLength = 1 << 13
	// keepQueue bounds the memory that an empty queue keeps, in proposals.
	keepQueue = 1 << 10
)

func (q *queue) len() int { return len(q.proposals) - q.head }

// add tells whether there was room.
func (q *queue) add(p proposal) bool {
	if q.len() >= QueueLength || q.bytes+p.bound > QueueBytes {
		return false
	}
	if len(q.proposals) == cap(q.proposals) && q.head > 0 {
		n := copy(q.proposals, q.proposals[q.head:])
		clear(q.proposals[n:])
		q.proposals, q.head = q.proposals[:n], 0
	}
	q.proposals = append(q.proposals, p)
	q.bytes += p.bound
	return true
}

// take moves the oldest proposals to batch: all of them, but no more than fit
// in limit bytes, and at least one.
func (q *queue) take(batch []proposal, limit int) []proposal {
	waiting := q.proposals[q.head:]
	n, bytes := 0, 0
	for n < len(waiting) && n < batchLength && (n == 0 || bytes+waiting[n].bound <= limit) {
		bytes += waiting[n].bound
		n++
	}
	batch = append(batch, waiting[:n]...)
	clear(waiting[:n]) // for the garbage collector
	q.bytes -= bytes
	q.head += n
	if q.len() == 0 {
		q.proposals, q.head = q.proposals[:0], 0
		if cap(q.proposals) > keepQueue {
			q.proposals = nil
		}
	}
	return batch
}
