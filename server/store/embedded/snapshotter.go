package embedded

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// snapshotRetry is how long after a failed snapshot the next one is begun.
const snapshotRetry = time.Second

// snapshotter writes snapshots, one at a time, in a goroutine of its own, and
// removes the files that each of them makes superfluous.
type snapshotter struct {
	fs      vfs.FS
	dir     *listing
	cluster clusterID
	logger  *slog.Logger

	requests chan snapshotRequest
	results  chan snapshotResult // one for each request
	stop     chan struct{}
	joined   sync.WaitGroup
}

// snapshotRequest asks to write a state, which nobody changes any more. The
// log goes on in the given segment.
type snapshotRequest struct {
	state   *state
	segment uint64
	// obsolete are the files that nobody needs once the snapshot is durable.
	obsolete []string
}

type snapshotResult struct {
	bytes int64
	took  time.Duration
	err   error
}

func startSnapshotter(fs vfs.FS, dir *listing, cluster clusterID, logger *slog.Logger) *snapshotter {
	s := &snapshotter{
		fs: fs, dir: dir, cluster: cluster, logger: logger,
		requests: make(chan snapshotRequest, 1), results: make(chan snapshotResult, 1), stop: make(chan struct{}),
	}
	s.joined.Go(func() {
		for r := range s.requests {
			s.results <- s.write(r)
		}
	})
	return s
}

func (s *snapshotter) write(r snapshotRequest) snapshotResult {
	began := time.Now()
	bytes, err := writeSnapshot(s.fs, s.dir, s.cluster, r.state, r.segment, s.stop)
	result := snapshotResult{bytes: bytes, took: time.Since(began), err: err}
	switch {
	case errors.Is(err, errStopped):
	case err != nil:
		// The log still has everything, so that nothing is lost but room.
		s.logger.Error("snapshot failed, the log grows on", "directory", s.dir.dir, "revision", r.state.revision, "error", err)
	default:
		s.logger.Info("snapshot written", "directory", s.dir.dir, "revision", r.state.revision,
			"entries", r.state.entries.Len(), "bytes", bytes, "took", result.took)
		removeAll(s.fs, s.dir, r.obsolete, s.logger)
	}
	return result
}

// close abandons a snapshot under way and joins the goroutine.
func (s *snapshotter) close() {
	close(s.stop)
	close(s.requests)
	s.joined.Wait()
}

// removeAll removes files that nobody needs. What cannot be removed only takes
// room, and is tried again at the next Open.
func removeAll(fs vfs.FS, dir *listing, names []string, logger *slog.Logger) {
	for _, name := range names {
		if err := fs.Remove(dir.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			logger.Warn("superfluous file could not be removed", "file", dir.path(name), "error", err)
		}
	}
}
