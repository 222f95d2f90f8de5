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
	waiting []proposal
	bytes   int
}

// batchLength bounds the proposals that one frame may hold.
const batchLength = 1 << 13

func (q *queue) len() int { return len(q.waiting) }

// add tells whether there was room.
func (q *queue) add(p proposal) bool {
	if len(q.waiting) >= QueueLength || q.bytes+p.bound > QueueBytes {
		return false
	}
	q.waiting = append(q.waiting, p)
	q.bytes += p.bound
	return true
}

// take moves the oldest proposals to batch: all of them, but no more than fit
// in limit bytes, and at least one.
func (q *queue) take(batch []proposal, limit int) []proposal {
	n, bytes := 0, 0
	for n < len(q.waiting) && n < batchLength && (n == 0 || bytes+q.waiting[n].bound <= limit) {
		bytes += q.waiting[n].bound
		n++
	}
	batch = append(batch, q.waiting[:n]...)
	clear(q.waiting[:n]) // for the garbage collector
	q.bytes -= bytes
	q.waiting = q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = q.waiting[:0:0]
	}
	return batch
}
