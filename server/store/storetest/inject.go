package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/muster-registry/muster/server/store"
)

// failure is what a test has in store for a batch.
type failure struct {
	err   error
	final bool // the store has failed for good
	kept  bool // the disk has the batch all the same
}

// FailNext makes the next batch of proposals have no effect: those whose
// guards hold are answered with err, the others as ever. It is for errors
// that leave the store in order, such as store.ErrFull. Several calls make
// several batches fail, one each.
func (m *Memory) FailNext(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next = append(m.next, failure{err: err})
}

// Fail makes the store fail for good, as after a failed fsync: the proposals
// that wait, if any, and all later ones are answered with store.ErrFailed.
// With kept, those that wait have nevertheless reached the disk, and show
// after it is opened again; the applier sees them only then.
func (m *Memory) Fail(cause error, kept bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cause != nil {
		return
	}
	if cause == nil {
		cause = errors.New("failure injected by a test")
	}
	m.cause = fmt.Errorf("%w: %w", store.ErrFailed, cause)
	m.next = nil
	if len(m.queue) > 0 {
		m.next = []failure{{err: m.cause, final: true, kept: kept}}
	}
	m.held = 0
	close(m.failed)
	m.signal()
}

func (m *Memory) nextFailureLocked() failure {
	if len(m.next) > 0 {
		f := m.next[0]
		m.next = m.next[1:]
		return f
	}
	if m.cause != nil {
		return failure{err: m.cause, final: true}
	}
	return failure{}
}

// Hold stops commits: proposals wait until Release is called as many times as
// Hold was. A batch that is being committed at this moment is not held.
func (m *Memory) Hold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held++
}

// Release ends a Hold. What waited is committed in one batch.
func (m *Memory) Release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held > 0 {
		m.held--
	}
	m.signal()
}

// Waiting is the number of proposals that wait to be committed.
func (m *Memory) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

// SetDelay makes each batch take at least d before it is durable, as a disk
// does; 0, the default, makes it immediate. Use it inside a synctest bubble.
func (m *Memory) SetDelay(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay = d
}

// SetCapacity bounds the proposals that wait; the default is 65,536. Above
// it, Propose answers store.ErrBusy.
func (m *Memory) SetCapacity(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = n
}
