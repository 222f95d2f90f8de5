package embedded

import (
	"errors"
	"fmt"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// log appends frames. It belongs to the committer; only the preparer works
// beside it, on segments that the log does not have yet.
type log struct {
	dir       string
	current   *segment
	offset    int64    // of the next frame
	next      *segment // when one is ready
	newest    uint64   // number of the segment that holds the newest frame
	requested bool     // the preparer owes a result
	preparer  *preparer
	least     int64  // the length of the segments that the preparer makes
	frame     []byte // memory of the last frame, for the next
}

// keepFrame bounds the memory that is kept from one frame to the next.
const keepFrame = 4 << 20

func newLog(o *Options, t *tail, p *preparer) *log {
	l := &log{dir: o.Dir, least: o.SegmentBytes, current: t.segment, newest: t.segment.number, offset: t.offset, next: t.next, preparer: p}
	if l.next == nil {
		l.request()
	}
	return l
}

// append makes the commits durable, and returns what they took in the log.
//
// An error that wraps store.ErrFull says that they are not, and will not be;
// a later call may succeed. After any other error nobody knows, and nothing
// may be appended any more.
func (l *log) append(commits []store.Commit) (int64, error) {
	frame := appendFrame(l.frame[:0], l.current.salt, commits)
	if int64(len(frame)) > l.current.size-l.offset {
		if err := l.roll(); err != nil {
			return 0, err
		}
		frame = appendFrame(frame[:0], l.current.salt, commits)
	}
	if cap(frame) <= keepFrame {
		l.frame = frame
	}
	if err := l.write(frame); err != nil {
		return 0, err
	}
	l.offset += int64(len(frame))
	l.newest = l.current.number
	return int64(len(frame)), nil
}

func (l *log) write(frame []byte) error {
	if n, err := vfs.WriteFull(l.current.file, frame, l.offset); err != nil {
		err = fmt.Errorf("write %d bytes at byte %d of %s: %w", len(frame), l.offset, l.current.path, err)
		if !vfs.IsFull(err) {
			return err
		}
		return l.takeBack(n, err)
	}
	if err := l.current.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", l.current.path, err)
	}
	return nil
}

// takeBack makes sure that the n bytes of a frame for which there was no room
// will never be taken for the frame: the rest of it may lie there already,
// from an earlier attempt. File systems that copy on write run out of room in
// places that were written before; others do not come here.
func (l *log) takeBack(n int, full error) error {
	if n > 0 {
		if _, err := vfs.WriteFull(l.current.file, make([]byte, sectorBytes), l.offset); err != nil {
			return fmt.Errorf("take back %d bytes at byte %d of %s: %w", n, l.offset, l.current.path, err)
		}
		if err := l.current.file.Sync(); err != nil {
			return fmt.Errorf("take back %d bytes at byte %d of %s: sync: %w", n, l.offset, l.current.path, err)
		}
	}
	return l.full(full)
}

func (l *log) full(cause error) error {
	return fmt.Errorf("%w in %s: %w; make room there, nothing else is needed", store.ErrFull, l.dir, cause)
}

// roll goes on to the next segment.
func (l *log) roll() error {
	next, err := l.takeNext()
	if err != nil {
		if vfs.IsFull(err) {
			return l.full(err)
		}
		return err
	}
	if err := l.current.file.Close(); err != nil {
		return errors.Join(fmt.Errorf("close %s: %w", l.current.path, err), next.file.Close())
	}
	l.current, l.offset = next, sectorBytes
	l.request()
	return nil
}

// takeNext waits for the next segment. If an attempt to make one failed some
// time ago, it asks for another: there may be room by now.
func (l *log) takeNext() (*segment, error) {
	if s := l.next; s != nil {
		l.next = nil
		return s, nil
	}
	for old := l.requested; ; old = false {
		if !l.requested {
			l.request()
		}
		r := <-l.preparer.results
		l.requested = false
		if r.err == nil || !old {
			return r.segment, r.err
		}
	}
}

func (l *log) request() {
	l.requested = true
	l.preparer.requests <- l.current.number + 1
}

// close joins the preparer and closes the files.
func (l *log) close() error {
	err := errors.Join(l.preparer.close(), l.current.file.Close())
	if l.next != nil {
		err = errors.Join(err, l.next.file.Close())
	}
	return err
}

// capacity is what one frame may take at most: any segment can hold it.
func (l *log) capacity() int64 {
	return min(l.current.size, l.least) - 2*sectorBytes
}
