package embedded

import (
	"sync"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// readBuffers is how many segments are in memory while the log is replayed: one
// that is being applied, and one that is being read.
const readBuffers = 2

// ahead reads segments, in order, while those before are applied.
type ahead struct {
	segments chan loadedSegment
	free     chan []byte // contents that were applied, to be used again
	stop     chan struct{}
	joined   sync.WaitGroup
}

type loadedSegment struct {
	segment *segment
	content []byte
	err     error
}

// readAhead begins to read. Nothing comes after an error. close must follow.
func readAhead(fs vfs.FS, dir *listing, cluster clusterID, numbers []uint64) *ahead {
	a := &ahead{segments: make(chan loadedSegment), free: make(chan []byte, len(numbers)+readBuffers), stop: make(chan struct{})}
	// A short log is one segment that was written to, and an empty one: to read
	// them into the same memory costs less than to read ahead saves.
	for range min(readBuffers, max(1, len(numbers)-1)) {
		a.free <- nil
	}
	a.joined.Go(func() {
		for _, number := range numbers {
			if !a.read(fs, dir, cluster, number) {
				return
			}
		}
	})
	return a
}

// read tells whether to go on.
func (a *ahead) read(fs vfs.FS, dir *listing, cluster clusterID, number uint64) bool {
	var l loadedSegment
	select {
	case buf := <-a.free:
		l.segment, l.content, l.err = loadSegment(fs, dir, cluster, number, buf)
	case <-a.stop:
		return false
	}
	select {
	case a.segments <- l:
		return l.err == nil
	case <-a.stop:
		if l.segment != nil {
			_ = l.segment.file.Close() // nothing was written to it
		}
		return false
	}
}

// close ends the reading and waits for it.
func (a *ahead) close() {
	close(a.stop)
	a.joined.Wait()
}
