// Package storetest holds what tests need of a store: [Run], the suite that
// every implementation must pass, and [Memory], a small store for the tests
// of everything above it.
//
// Memory keeps to the store's contract, and lets a test decide when commits
// become durable and which of them fail. It starts one goroutine, at Start,
// and joins it in Close. It blocks on channels only, so that it works inside
// a testing/synctest bubble, where time stands still while it is idle.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/internal/batch"
)

// Memory implements store.Store on a [Disk]. All methods are safe for
// concurrent use.
type Memory struct {
	disk   *Disk
	wake   chan struct{}
	failed chan struct{}
	joined chan struct{}
	closed chan struct{} // Close has begun

	mu       sync.Mutex
	started  bool
	closing  bool
	queue    []proposal
	held     int
	delay    time.Duration
	capacity int
	next     []failure // one for each coming batch
	cause    error
	rejected sync.WaitGroup // answers with ErrBusy under way
	released sync.Once
}

var _ store.Store = (*Memory)(nil)

// defaultCapacity bounds the proposals that wait. It is more than any test
// proposes by accident, and small enough to notice one that never stops.
const defaultCapacity = 1 << 16

type proposal struct {
	mutation store.Mutation
	invalid  error
	done     func(store.Outcome, error)
}

// NewMemory opens a store on a new disk of its own.
func NewMemory() *Memory {
	d := NewDisk()
	d.open = true
	return newMemory(d)
}

func newMemory(d *Disk) *Memory {
	return &Memory{
		disk:     d,
		wake:     make(chan struct{}, 1),
		failed:   make(chan struct{}),
		joined:   make(chan struct{}),
		closed:   make(chan struct{}),
		capacity: defaultCapacity,
	}
}

// Disk is the disk below the store; open it again after Close to restart.
func (m *Memory) Disk() *Disk { return m.disk }

// ClusterID implements store.Store.
func (m *Memory) ClusterID() string { return m.disk.clusterID }

// Start implements store.Store.
func (m *Memory) Start(a store.Applier) error {
	m.mu.Lock()
	if m.started || m.closing {
		m.mu.Unlock()
		return errors.New("start memory store: it was started or closed before")
	}
	m.started = true
	m.mu.Unlock()
	entries := m.disk.Entries()
	err := a.Restore(m.disk.Revision(), slices.Values(entries))
	if err != nil {
		close(m.joined)
		return fmt.Errorf("start memory store: restore %d entries: %w", len(entries), err)
	}
	go m.run(a)
	return nil
}

// Propose implements store.Store. When the queue is full (see SetCapacity),
// it answers store.ErrBusy.
func (m *Memory) Propose(mutation store.Mutation, done func(store.Outcome, error)) {
	p := proposal{mutation: mutation, invalid: mutation.Check(), done: done}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closing:
		go done(store.Outcome{}, fmt.Errorf("propose to memory store: %w", store.ErrClosed))
	case len(m.queue) >= m.capacity:
		m.rejected.Go(func() {
			done(store.Outcome{}, fmt.Errorf("propose to memory store: too many proposals wait: %w", store.ErrBusy))
		})
	default:
		m.queue = append(m.queue, p)
		m.signal()
	}
}

// Probe implements store.Store. It fails as proposals do after Fail.
func (m *Memory) Probe(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("probe memory store: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cause != nil {
		return 0, fmt.Errorf("probe memory store: %w", m.cause)
	}
	if m.closing {
		return 0, fmt.Errorf("probe memory store: %w", store.ErrClosed)
	}
	return m.disk.Revision(), nil
}

// Failed implements store.Store.
func (m *Memory) Failed() <-chan struct{} { return m.failed }

// Err implements store.Store.
func (m *Memory) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cause
}

// Close implements store.Store. It ends a Hold. The disk can be opened again
// as soon as it returns.
func (m *Memory) Close() error {
	m.mu.Lock()
	first, started := !m.closing, m.started
	m.closing = true
	m.held = 0
	m.mu.Unlock()
	if first {
		close(m.closed)
		if !started {
			m.abandon()
			close(m.joined)
		}
	}
	<-m.joined
	m.rejected.Wait()
	m.released.Do(m.disk.release)
	return nil
}

// abandon answers what was proposed to a store that never started.
func (m *Memory) abandon() {
	proposals, _ := m.take()
	for _, p := range proposals {
		p.done(store.Outcome{}, fmt.Errorf("propose to memory store: %w", store.ErrClosed))
	}
}

func (m *Memory) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run is the store's one goroutine.
func (m *Memory) run(a store.Applier) {
	defer close(m.joined)
	for {
		select {
		case <-m.wake:
		case <-m.closed:
			m.commit(a)
			return
		}
		m.commit(a)
	}
}

// take removes what waits, and says how it is to fail. It takes nothing while
// commits are held: Release wakes the goroutine again.
func (m *Memory) take() ([]proposal, failure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held > 0 || len(m.queue) == 0 {
		return nil, failure{}
	}
	q := m.queue
	m.queue = nil
	return q, m.nextFailureLocked()
}

// pause waits as long as a commit is to take.
func (m *Memory) pause() {
	m.mu.Lock()
	delay := m.delay
	m.mu.Unlock()
	if delay <= 0 {
		return
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.closed:
	}
}

// commit decides what waits, makes it durable, applies and answers it.
func (m *Memory) commit(a store.Applier) {
	proposals, f := m.take()
	if len(proposals) == 0 {
		return
	}
	m.pause()
	b := batch.New(m.disk.Revision(), m.disk.entry)
	if f.err != nil && !f.kept {
		b.Seal()
	}
	answers := make([]func(), len(proposals))
	for i := range proposals {
		p := &proposals[i]
		if p.invalid != nil {
			answers[i] = func() { p.done(store.Outcome{}, fmt.Errorf("propose to memory store: %w", p.invalid)) }
			continue
		}
		o := b.Add(&p.mutation)
		if f.final || (f.err != nil && o.Failed == nil) {
			answers[i] = func() { p.done(store.Outcome{}, fmt.Errorf("propose to memory store: %w", f.err)) }
			continue
		}
		answers[i] = func() { p.done(o, nil) }
	}
	if len(b.Commits()) > 0 {
		m.disk.write(b.Commits())
		if !f.final {
			a.Apply(b.Commits())
		}
	}
	for _, answer := range answers {
		answer()
	}
}
