package embedded

import (
	"errors"
	"slices"
	"sync/atomic"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// tail is where the log ends, as replay found it.
type tail struct {
	segment *segment // open; nil before the first
	next    *segment // open and without frames, if one was prepared
	offset  int64    // of the next frame in segment
	last    []byte   // the newest frame in segment, with its padding; nil if there is none
	bytes   int64    // of all frames replayed
	torn    bool     // a write that never was answered lies at offset
}

func (t *tail) close() error {
	var errs []error
	for _, s := range []*segment{t.segment, t.next} {
		if s != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}

// replayer brings a state forward by the log's frames.
type replayer struct {
	fs       vfs.FS
	dir      *listing
	cluster  clusterID
	state    *state
	base     uint64 // the snapshot's revision
	expected uint64 // first revision of the next frame; 0 while any up to base+1 will do
	tail     tail
}

// replay applies all frames above the state's revision, from segment first on.
// What it returns holds open files, also along with an error.
func (r *replayer) replay(first uint64) error {
	r.base = r.state.revision
	if r.base == 0 {
		r.expected = 1
	}
	numbers, err := r.contiguous(first)
	if err != nil {
		return err
	}
	ahead := readAhead(r.fs, r.dir, r.cluster, numbers)
	defer ahead.close()
	for range numbers {
		l := <-ahead.segments
		if l.err != nil {
			return l.err
		}
		if err := r.segment(l.segment, l.content); err != nil {
			return err
		}
		ahead.free <- l.content
	}
	if r.expected <= r.base {
		return damaged(r.tail.segment.path, r.tail.offset,
			"the log ends before revision %d, at which the snapshot was taken", r.base)
	}
	return nil
}

// contiguous returns the numbers of the segments that matter, and refuses gaps.
func (r *replayer) contiguous(first uint64) ([]uint64, error) {
	at, found := slices.BinarySearch(r.dir.segments, first)
	if !found {
		return nil, damaged(r.dir.path(segmentName(first)), 0, "the file is missing, and the log begins with it")
	}
	numbers := r.dir.segments[at:]
	for i, n := range numbers {
		if n != first+uint64(i) {
			return nil, damaged(r.dir.path(segmentName(first+uint64(i))), 0,
				"the file is missing, but %s is there", segmentName(n))
		}
	}
	return numbers, nil
}

// segment goes through one segment's frames. The log ends in the last one
// that has any. After it there may be one that nothing was written to, or
// nothing that lasted, and one that was prepared meanwhile.
func (r *replayer) segment(s *segment, b []byte) error {
	t := &r.tail
	end, last := int64(sectorBytes), []byte(nil)
	var err error
	if t.next == nil {
		end, last, err = r.frames(s, b)
	}
	if err == nil {
		err = r.nothingBeyond(s, b, end)
	}
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	if t.segment != nil && last == nil {
		if t.next != nil {
			return s.file.Close() // made for later, and made anew then
		}
		t.next = s
		return nil
	}
	if t.segment != nil {
		if err := t.segment.file.Close(); err != nil {
			return errors.Join(err, s.file.Close())
		}
	}
	t.segment, t.offset = s, end
	t.last = slices.Clone(last)
	t.torn = end < s.size && slices.ContainsFunc(b[end:end+sectorBytes], func(c byte) bool { return c != 0 })
	return nil
}

// frames applies the valid frames at the beginning of a segment. It returns
// where they end, and the last one of them.
func (r *replayer) frames(s *segment, b []byte) (end int64, last []byte, err error) {
	end = sectorBytes
	var news []placed
	for end < s.size {
		f, ok := validFrame(b[end:], s.salt)
		if !ok {
			break
		}
		if err := r.follows(s, end, &f); err != nil {
			return end, nil, err
		}
		if f.last() > r.base {
			news = append(news, placed{f, end})
		}
		last = b[end:min(end+f.bytes(), s.size)]
		end += f.bytes()
	}
	return end, last, r.apply(s, news)
}

// follows tells whether a frame may come after those before it.
func (r *replayer) follows(s *segment, off int64, f *frame) error {
	switch {
	case r.expected == 0 && f.revision > r.base+1:
		return damaged(s.path, off, "the log begins with revision %d here, the snapshot needs it from %d on", f.revision, r.base+1)
	case r.expected != 0 && f.revision != r.expected:
		return damaged(s.path, off, "a frame begins with revision %d, expected %d", f.revision, r.expected)
	case f.revision <= r.base && f.last() > r.base:
		return damaged(s.path, off, "a frame holds revisions %d to %d, but the snapshot was taken at %d", f.revision, f.last(), r.base)
	}
	r.expected = f.last() + 1
	return nil
}

// placed is a frame and where it is in its segment.
type placed struct {
	frame
	offset int64
}

// apply brings the state forward by frames. Each part of it goes through all
// of them, and takes the changes that concern it.
func (r *replayer) apply(s *segment, frames []placed) error {
	if len(frames) == 0 {
		return nil
	}
	var bad atomic.Pointer[placed] // all parts come to the same one
	r.state.parallel(0, func(p *part) {
		for i := range frames {
			if frames[i].changes(p.replay) != nil {
				bad.Store(&frames[i])
				return
			}
		}
	})
	if f := bad.Load(); f != nil {
		return damaged(s.path, f.offset, "%v", errPayload)
	}
	for i := range frames {
		r.tail.bytes += frames[i].bytes()
	}
	r.state.revision = frames[len(frames)-1].last()
	return nil
}

// nothingBeyond refuses a segment with a valid frame after an invalid one. A
// torn write leaves no such thing: each frame is written only once the one
// before is durable.
func (r *replayer) nothingBeyond(s *segment, b []byte, end int64) error {
	for off := end; off < s.size; off += sectorBytes {
		f, ok := validFrame(b[off:], s.salt)
		if !ok {
			continue
		}
		where, at := s.path, end
		if end == sectorBytes && r.tail.segment != nil {
			where, at = r.tail.segment.path, r.tail.offset
		}
		return damaged(where, at, "no valid frame is there (revision %d was expected), but a later one, of revision %d, is at byte %d of %s",
			r.expected, f.revision, off, s.path)
	}
	return nil
}
