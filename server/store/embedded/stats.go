package embedded

import "time"

// Stats is how a store does. Counts are since Open.
type Stats struct {
	// Revision is the newest durable one.
	Revision uint64
	// Entries, and what a snapshot of them takes, about.
	Entries    int
	StateBytes int64
	// LogBytes is what a restart replays after the newest snapshot.
	LogBytes int64
	// Waiting is the number of proposals in the queue.
	Waiting int

	// Batches that were made durable, the Mutations that took effect in them,
	// and the Commits (revisions) they became.
	Batches, Mutations, Commits uint64
	// Written is the bytes appended to the log, Durable the time it took to
	// make them durable.
	Written int64
	Durable time.Duration

	// Snapshots that were written, and those that failed.
	Snapshots, SnapshotFailures uint64
	// SnapshotBytes is the length of the newest, SnapshotTook the time it took.
	SnapshotBytes int64
	SnapshotTook  time.Duration
}

func (c *committer) count(b BatchInfo) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	s := &c.stats
	s.Revision = c.state.revision
	s.Entries = c.state.entries.Len()
	s.StateBytes = c.state.bytes
	s.LogBytes = c.keeper.logBytes
	s.Batches++
	s.Mutations += uint64(b.Mutations)
	s.Commits += uint64(b.Commits)
	s.Written += b.Bytes
	s.Durable += b.Durable
}

func (c *committer) countSnapshot(r snapshotResult) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.stats.LogBytes = c.keeper.logBytes
	if r.err != nil {
		c.stats.SnapshotFailures++
		return
	}
	c.stats.Snapshots++
	c.stats.SnapshotBytes, c.stats.SnapshotTook = r.bytes, r.took
}
