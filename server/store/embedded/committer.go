package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/internal/batch"
)

// committer is the goroutine that all commits go through, and what it owns.
type committer struct {
	store   *Store
	onBatch func(BatchInfo)
	state   *state
	batch   *batch.Batch
	log     *log
	keeper  *keeper

	logger *slog.Logger
	full   bool // the disk, when last written to

	taken    []proposal
	outcomes []store.Outcome
	stats    Stats // guarded by store.mu
}

// maxGather bounds how often others run before a commit begins.
const maxGather = 16

// frameLimit bounds a batch in bytes, unless a single mutation is larger.
const frameLimit = 2 << 20

func newCommitter(s *Store, o *Options, dir *listing, cluster clusterID, r *recovered) *committer {
	p := startPreparer(func(number uint64) (*segment, error) {
		return createSegment(o.fs, dir, cluster, number, o.SegmentBytes)
	})
	return &committer{
		store:   s,
		onBatch: o.OnBatch,
		logger:  o.Logger,
		state:   r.state,
		batch:   batch.New(r.state.revision, r.state.get),
		log:     newLog(o, r.tail, p),
		keeper:  newKeeper(o, dir, cluster, r),
		stats:   Stats{Revision: r.state.revision, Entries: r.state.entries.Len(), StateBytes: r.state.bytes, LogBytes: r.tail.bytes},
	}
}

// run commits until the store closes.
func (c *committer) run(applier store.Applier) {
	for closing := false; !closing; {
		select {
		case <-c.store.wake:
		case <-c.store.closing:
			closing = true // and nothing comes after what waits now
		}
		c.gather()
		for c.take() {
			c.commit(applier)
			c.gather()
			clear(c.taken) // for the garbage collector, if nothing comes for long
		}
	}
}

// gather lets everyone run who is about to propose something, as long as more
// and more is proposed. That is no linger: with nobody ready to run it takes no
// time. Without it the committer, back from the disk, runs before those whose
// requests came in meanwhile, and syncs for a few of them only.
func (c *committer) gather() {
	for rounds, before := 0, -1; rounds < maxGather; rounds++ {
		runtime.Gosched()
		waiting := c.store.waiting()
		if waiting == before {
			return
		}
		before = waiting
	}
}

// take tells whether anything waited.
func (c *committer) take() bool {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.taken = c.store.queue.take(c.taken[:0], min(frameLimit, int(c.log.current.size)/2))
	return len(c.taken) > 0
}

// commit decides what was taken, makes it durable, applies and answers it.
func (c *committer) commit(applier store.Applier) {
	if err := c.store.Err(); err != nil {
		c.answer(func(int) error { return err })
		return
	}
	c.batch.Reset(c.state.revision)
	c.decide()
	commits := c.batch.Commits()
	if len(commits) == 0 {
		c.answer(c.verdict)
		return
	}
	began := time.Now()
	bytes, err := c.log.append(commits)
	switch {
	case errors.Is(err, store.ErrFull):
		c.notice(err)
		c.commitNothing(err)
		return
	case err != nil:
		c.store.fail(err)
		cause := c.store.Err()
		c.answer(func(int) error { return cause })
		return
	}
	c.notice(nil)
	c.applied(applier, commits, BatchInfo{Bytes: bytes, Durable: time.Since(began), Commits: len(commits)})
	c.answer(c.verdict)
	c.keeper.consider(c, false)
}

// notice tells the log when the disk has become full, and when no longer.
func (c *committer) notice(full error) {
	switch {
	case full != nil && !c.full:
		c.logger.Error("nothing can be written", "directory", c.store.dir, "error", full)
	case full == nil && c.full:
		c.logger.Info("there is room again", "directory", c.store.dir)
	}
	c.full = full != nil
}

// decide fills outcomes.
func (c *committer) decide() {
	c.outcomes = c.outcomes[:0]
	for i := range c.taken {
		p := &c.taken[i]
		if p.invalid == nil && int64(p.bound) > c.log.capacity() {
			p.invalid = fmt.Errorf("%w: it takes up to %d bytes, a log segment holds %d", store.ErrTooLarge, p.bound, c.log.capacity())
		}
		if p.invalid != nil {
			c.outcomes = append(c.outcomes, store.Outcome{})
			continue
		}
		c.outcomes = append(c.outcomes, c.batch.Add(&p.mutation))
	}
}

// commitNothing answers a batch for which there is no room. Guards are decided
// anew: some may have failed only for what earlier mutations of the batch did.
func (c *committer) commitNothing(full error) {
	c.batch.Reset(c.state.revision)
	c.batch.Seal()
	c.decide()
	c.answer(func(i int) error {
		if c.taken[i].invalid == nil && c.outcomes[i].Failed == nil {
			return full
		}
		return c.verdict(i)
	})
	c.keeper.consider(c, true)
}

// applied takes over commits that are durable.
func (c *committer) applied(applier store.Applier, commits []store.Commit, info BatchInfo) {
	for i := range c.outcomes {
		if c.outcomes[i].Committed() {
			info.Mutations++
		}
	}
	c.state.apply(commits)
	c.store.revision.Store(c.state.revision)
	c.keeper.logBytes += info.Bytes
	c.count(info)
	if c.onBatch != nil {
		c.onBatch(info)
	}
	applier.Apply(commits)
}

func (c *committer) verdict(i int) error { return c.taken[i].invalid }

// answer tells everyone in the batch what became of it; an error takes the
// place of the outcome.
func (c *committer) answer(verdict func(i int) error) {
	for i := range c.taken {
		if err := verdict(i); err != nil {
			c.taken[i].done(store.Outcome{}, c.store.refusal(err))
			continue
		}
		c.taken[i].done(c.outcomes[i], nil)
	}
}

// refuseAll answers what was proposed to a store that never started.
func (c *committer) refuseAll() {
	for c.take() {
		c.answer(func(int) error { return store.ErrClosed })
	}
}

// close joins the other goroutines and closes the files. The committer's own
// has ended.
func (c *committer) close() error {
	c.keeper.close()
	return c.log.close()
}
