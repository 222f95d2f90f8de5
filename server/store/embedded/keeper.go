package embedded

import "time"

// keeper decides, for the committer, when to write a snapshot.
type keeper struct {
	snapshotter *snapshotter
	least       int64 // log bytes before a snapshot, at least

	logBytes int64  // since the newest durable snapshot was asked for
	asked    int64  // logBytes when the snapshot under way was asked for
	under    bool   // a snapshot is under way
	begins   uint64 // first segment that the newest durable snapshot needs
	pending  uint64 // the same of the one under way
	revision uint64 // of the newest durable snapshot; 0 if there is none
	written  uint64 // revision of the one under way
	bytes    int64  // length of the newest durable snapshot
	retry    time.Time
}

func newKeeper(o *Options, dir *listing, cluster clusterID, r *recovered) *keeper {
	k := &keeper{
		snapshotter: startSnapshotter(o.fs, dir, cluster, o.Logger),
		least:       o.SnapshotBytes,
		logBytes:    r.tail.bytes,
		begins:      r.snapshot.segment,
		bytes:       r.snapshot.bytes,
	}
	if n := len(dir.snapshots); n > 0 {
		k.revision = dir.snapshots[n-1]
	}
	return k
}

// consider begins a snapshot if the log has outgrown the last, or if the disk
// is full and a snapshot would make room.
func (k *keeper) consider(c *committer, full bool) {
	k.collect(c)
	outgrown := k.logBytes >= max(k.least, k.bytes)
	useful := full && c.log.newest > k.begins
	if k.under || (!outgrown && !useful) || time.Now().Before(k.retry) {
		return
	}
	k.under = true
	k.asked = k.logBytes
	k.pending = c.log.newest
	k.written = c.state.revision
	r := snapshotRequest{state: c.state.snapshot(), segment: k.pending}
	if k.revision != 0 {
		r.obsolete = append(r.obsolete, snapshotName(k.revision))
	}
	for n := k.begins; n < k.pending; n++ {
		r.obsolete = append(r.obsolete, segmentName(n))
	}
	k.snapshotter.requests <- r
}

// collect takes the result of a snapshot that was under way, if it has ended.
func (k *keeper) collect(c *committer) {
	select {
	case r := <-k.snapshotter.results:
		k.under = false
		if r.err != nil {
			k.retry = time.Now().Add(snapshotRetry)
		} else {
			k.logBytes -= k.asked
			k.begins, k.revision, k.bytes = k.pending, k.written, r.bytes
		}
		c.countSnapshot(r)
	default:
	}
}

func (k *keeper) close() { k.snapshotter.close() }
