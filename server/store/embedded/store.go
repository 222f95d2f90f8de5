package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/muster-registry/muster/server/store"
)

// Store is an open store. All its methods are safe for concurrent use. Close
// must be called, and not from within done, Apply or OnBatch.
type Store struct {
	dir       string
	clusterID string
	lock      io.Closer
	committer *committer

	revision atomic.Uint64 // newest durable
	wake     chan struct{} // something waits; at most one signal is kept
	closing  chan struct{}
	failed   chan struct{}
	joined   sync.WaitGroup // the committer, and answers of ErrBusy

	mu      sync.Mutex
	started bool
	closed  bool // Close has begun
	queue   queue
	cause   error // why the store has failed

	closeOnce sync.Once
	closeErr  error
}

var _ store.Store = (*Store)(nil)

func newStore(o *Options, lock io.Closer, dir *listing, cluster clusterID, r *recovered) *Store {
	s := &Store{
		dir:       o.Dir,
		clusterID: cluster.String(),
		lock:      lock,
		wake:      make(chan struct{}, 1),
		closing:   make(chan struct{}),
		failed:    make(chan struct{}),
	}
	s.revision.Store(r.state.revision)
	s.committer = newCommitter(s, o, dir, cluster, r)
	return s
}

// ClusterID implements store.Store: 128 random bits in hexadecimal.
func (s *Store) ClusterID() string { return s.clusterID }

// Start implements store.Store. If the applier refuses the state, the store
// can only be closed.
func (s *Store) Start(applier store.Applier) error {
	s.mu.Lock()
	used := s.started || s.closed
	s.started = true
	s.mu.Unlock()
	if used {
		return fmt.Errorf("start store in %s: it was started or closed before", s.dir)
	}
	c := s.committer
	if err := applier.Restore(c.state.revision, c.state.all()); err != nil {
		s.fail(fmt.Errorf("restore %d entries at revision %d: %w", c.state.entries.Len(), c.state.revision, err))
		applier = nil // never asked, since a failed store commits nothing
		s.joined.Go(func() { c.run(applier) })
		return fmt.Errorf("start store in %s: %w", s.dir, s.Err())
	}
	s.joined.Go(func() { c.run(applier) })
	return nil
}

// Propose implements store.Store. What is proposed before Start waits for it.
func (s *Store) Propose(m store.Mutation, done func(store.Outcome, error)) {
	p := newProposal(m, done)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		// A goroutine that Close may not live to join: contracts forbid to
		// answer from this one, and there is no other any more.
		go done(store.Outcome{}, s.refusal(store.ErrClosed))
	case !s.queue.add(p):
		s.joined.Go(func() { done(store.Outcome{}, s.refusal(store.ErrBusy)) })
	default:
		s.signal()
	}
}

func (s *Store) refusal(err error) error {
	return fmt.Errorf("propose to store in %s: %w", s.dir, err)
}

// waiting is how many proposals wait.
func (s *Store) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.len()
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Probe implements store.Store. It never waits.
func (s *Store) Probe(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("probe store in %s: %w", s.dir, err)
	}
	s.mu.Lock()
	cause, closed := s.cause, s.closed
	s.mu.Unlock()
	switch {
	case cause != nil:
		return 0, fmt.Errorf("probe store in %s: %w", s.dir, cause)
	case closed:
		return 0, fmt.Errorf("probe store in %s: %w", s.dir, store.ErrClosed)
	}
	return s.revision.Load(), nil
}

// Failed implements store.Store.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err implements store.Store. It wraps store.ErrFailed, and names the file and
// the cause.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Stats is how the store does at this moment.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.committer.stats
	st.Waiting = s.queue.len()
	return st
}

// fail is the end of all commits.
func (s *Store) fail(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = fmt.Errorf("%w in %s: %w; restart, which reads back what is durable", store.ErrFailed, s.dir, cause)
	close(s.failed)
}

// Close implements store.Store. Its error is that of the failure if the store
// has failed, or else of what could not be released.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	s.mu.Lock()
	s.closed = true
	started := s.started
	s.mu.Unlock()
	close(s.closing)
	if !started {
		s.joined.Go(s.committer.refuseAll)
	}
	s.joined.Wait()
	err := errors.Join(s.committer.close(), s.lock.Close())
	if cause := s.Err(); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("close store in %s: %w", s.dir, err)
	}
	return nil
}
