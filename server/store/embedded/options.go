package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

const (
	// QueueLength bounds the mutations that wait for the committer. Above it
	// Propose answers store.ErrBusy.
	QueueLength = 1 << 16
	// QueueBytes bounds the sum of their sizes likewise.
	QueueBytes = 64 << 20

	// DefaultSegmentBytes is the length of a log segment unless Options say
	// otherwise. Two of them are there at any time.
	DefaultSegmentBytes = 16 << 20
	// DefaultSnapshotBytes is how much log there is at least before a snapshot
	// is written, unless Options say otherwise.
	DefaultSnapshotBytes = 64 << 20

	minSegmentBytes = 4 << 20
	maxSegmentBytes = 1 << 30
)

// Options say where and how a store keeps its data. The zero value of each
// field but Dir is its default.
type Options struct {
	// Dir is the directory. It is made, with mode 0700, if it is missing. One
	// process at a time has it open.
	Dir string
	// SegmentBytes is the length of new log segments, 4 MiB to 1 GiB, rounded
	// down to a multiple of 512. It may differ from one Open to the next.
	SegmentBytes int64
	// SnapshotBytes is how much log there is at least before a snapshot is
	// written. Beyond that, one is written when the log has become larger than
	// the last snapshot, so that starting never reads more than about twice
	// the state.
	SnapshotBytes int64
	// Logger receives what operators may want to know: torn writes dropped,
	// snapshots, failures. The default discards it.
	Logger *slog.Logger
	// OnBatch, if set, is called after each batch that was made durable, from
	// the committer, before anyone is answered. It must not block.
	OnBatch func(BatchInfo)

	fs vfs.FS // for tests
}

// BatchInfo is what one write to the disk did.
type BatchInfo struct {
	// Mutations that took effect, and the Commits (revisions) they became.
	Mutations, Commits int
	// Bytes is what they took in the log.
	Bytes int64
	// Durable is the time from beginning to write until all was synced.
	Durable time.Duration
}

// withDefaults fills in what is missing, and refuses what cannot be.
func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("open store: no directory was given")
	}
	if o.fs == nil {
		o.fs = vfs.OS{}
		if o.SegmentBytes != 0 && (o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes) {
			return o, fmt.Errorf("open store in %s: segments of %d bytes: allowed are %d to %d", o.Dir, o.SegmentBytes, minSegmentBytes, maxSegmentBytes)
		}
	}
	if o.SnapshotBytes < 0 {
		return o, fmt.Errorf("open store in %s: a snapshot every %d bytes: give a positive number, or 0 for %d", o.Dir, o.SnapshotBytes, DefaultSnapshotBytes)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = DefaultSnapshotBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.SegmentBytes &^= sectorBytes - 1
	return o, nil
}
