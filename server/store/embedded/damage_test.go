package embedded

import (
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-registry/muster/server/store/embedded/internal/crashfs"
)

// aged returns a disk with a store that has a snapshot and several segments
// after it, closed in order.
func aged(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newWorld(t, seed)
	for {
		w.live(false)
		snapshots := w.disk.Paths(snapshotPrefix)
		if len(snapshots) == 1 && len(w.disk.Paths(segmentPrefix)) >= 4 && !strings.HasSuffix(snapshots[0], tempSuffix) {
			return w
		}
	}
}

func flip(off int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[off%len(b)] ^= 0x10
		return b
	}
}

func cut(bytes int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:len(b)-bytes] }
}

func gone([]byte) []byte { return nil }

// frameAt returns where a segment's i-th frame begins.
func frameAt(t *testing.T, b []byte, i int) int {
	t.Helper()
	salt := binary.LittleEndian.Uint64(b[40:])
	off := int64(sectorBytes)
	for range i {
		f, err := decodeFrame(b[off:], salt)
		if err != nil {
			t.Fatalf("no frame at %d: %v", off, err)
		}
		off += f.bytes()
	}
	return int(off)
}

// TestDamageIsRefused: what crashes cannot do is refused with a clear error,
// and nothing on the disk is changed.
func TestDamageIsRefused(t *testing.T) {
	first := func(paths []string) string { return paths[0] }
	second := func(paths []string) string { return paths[1] }
	for _, c := range []struct {
		name   string
		prefix string
		which  func([]string) string
		edit   func(t *testing.T) func([]byte) []byte
		says   string
	}{
		{"FrameHeader", segmentPrefix, first, frameByte(1, 5), "a later one, of revision"},
		{"FrameMagic", segmentPrefix, first, frameByte(1, 0), "a later one, of revision"},
		{"FrameContent", segmentPrefix, first, frameByte(1, 40), "a later one, of revision"},
		{"FirstFrameOfALaterSegment", segmentPrefix, second, frameByte(0, 30), "a later one, of revision"},
		{"SegmentMagic", segmentPrefix, second, at(flip(0)), "does not begin as its name says"},
		{"SegmentHeader", segmentPrefix, second, at(flip(33)), "header fails its checksum"},
		{"SegmentCut", segmentPrefix, second, at(cut(512)), "its header says"},
		{"SegmentCutToNothing", segmentPrefix, second, at(func([]byte) []byte { return []byte{} }), "shorter than its header"},
		{"SegmentMissing", segmentPrefix, second, at(gone), "the file is missing"},
		{"FirstSegmentMissing", segmentPrefix, first, at(gone), "the file is missing, and the log begins with it"},
		{"SnapshotHeader", snapshotPrefix, first, at(flip(100)), "header fails its checksum"},
		{"SnapshotBlock", snapshotPrefix, first, at(flip(1000)), "a block fails its checksum"},
		{"SnapshotLength", snapshotPrefix, first, at(flip(514)), "damaged"},
		{"SnapshotCut", snapshotPrefix, first, at(cut(8)), "the file ends before the snapshot does"},
		{"SnapshotLonger", snapshotPrefix, first, at(func(b []byte) []byte { return append(b, 0) }), "goes on after"},
		{"SnapshotMissing", snapshotPrefix, first, at(gone), "the file is missing"},
		{"Meta", metaName, first, at(flip(20)), "header fails its checksum"},
		{"MetaMissing", metaName, first, at(gone), "the file is missing, but other files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := aged(t, 7)
			path := c.which(w.disk.Paths(c.prefix))
			if err := w.disk.Change(path, c.edit(t)); err != nil {
				t.Fatal(err)
			}
			before := w.disk.Dump()
			o := w.opts
			o.fs = w.disk.Process()
			s, err := Open(o)
			if err == nil {
				_ = s.Close()
				t.Fatal("the store was opened")
			}
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want ErrDamaged saying %q", err, c.says)
			}
			if d := (*DamageError)(nil); !errors.As(err, &d) || filepath.Dir(d.Path) != worldDir {
				t.Errorf("%v does not name a file", err)
			}
			if !maps.Equal(before, w.disk.Dump()) {
				t.Error("files were changed")
			}
			if _, err := Open(o); errors.Is(err, ErrLocked) {
				t.Error("the lock was kept")
			}
		})
	}
}

func at(edit func([]byte) []byte) func(*testing.T) func([]byte) []byte {
	return func(*testing.T) func([]byte) []byte { return edit }
}

func frameByte(frame, off int) func(*testing.T) func([]byte) []byte {
	return func(t *testing.T) func([]byte) []byte {
		return func(b []byte) []byte {
			b[frameAt(t, b, frame)+off] ^= 1
			return b
		}
	}
}

// TestAnyFlippedByteIsNoticed flips a byte anywhere that matters. The store
// either refuses to open or, in the newest frame, takes it for a torn write;
// it never comes up with other entries than were there.
func TestAnyFlippedByteIsNoticed(t *testing.T) {
	w := aged(t, 3)
	rng := rand.New(rand.NewPCG(3, 4))
	refused, torn := 0, 0
	for range 300 {
		disk := crashfs.New(1)
		copyDisk(t, w.disk, disk)
		paths := append(append(disk.Paths(segmentPrefix), disk.Paths(snapshotPrefix)...), disk.Paths(metaName)...)
		if err := disk.Change(paths[rng.IntN(len(paths))], flip(rng.IntN(1<<20))); err != nil {
			t.Fatal(err)
		}
		o := w.opts
		o.fs = disk.Process()
		s, err := Open(o)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Fatalf("got %v, want ErrDamaged", err)
			}
			refused++
			continue
		}
		r := &recorder{}
		if err := s.Start(r); err != nil {
			t.Fatal(err)
		}
		revision, entries, _ := r.snapshot()
		switch {
		case revision < w.revision:
			torn++
		case revision > w.revision || !maps.EqualFunc(entries, w.entries, sameEntry):
			t.Fatalf("opened at revision %d with %d entries, was %d with %d", revision, len(entries), w.revision, len(w.entries))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("no flipped byte was refused")
	}
	t.Logf("%d refused, %d taken for a torn write, the rest lay where nothing is", refused, torn)
}

func copyDisk(t *testing.T, from, to *crashfs.FS) {
	t.Helper()
	for path, content := range from.Dump() {
		place(t, to, path, []byte(content))
	}
}

// TestLaterFormatIsRefused: each kind of file says its version, and a later
// one is not called damaged.
func TestLaterFormatIsRefused(t *testing.T) {
	for _, prefix := range []string{metaName, segmentPrefix, snapshotPrefix} {
		w := aged(t, 7)
		err := w.disk.Change(w.disk.Paths(prefix)[0], func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[8:], formatVersion+1)
			return b
		})
		if err != nil {
			t.Fatal(err)
		}
		o := w.opts
		o.fs = w.disk.Process()
		_, err = Open(o)
		if !errors.Is(err, ErrFormat) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "run a later version") {
			t.Errorf("%s: got %v, want ErrFormat", prefix, err)
		}
	}
}

// TestFilesOfAnotherClusterAreRefused: a segment copied from another store
// fits in number, and must not be replayed.
func TestFilesOfAnotherClusterAreRefused(t *testing.T) {
	a, b := aged(t, 7), aged(t, 7)
	path := a.disk.Paths(segmentPrefix)[1]
	if err := a.disk.Change(path, func([]byte) []byte { return []byte(b.disk.Dump()[b.disk.Paths(segmentPrefix)[1]]) }); err != nil {
		t.Fatal(err)
	}
	o := a.opts
	o.fs = a.disk.Process()
	if _, err := Open(o); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("got %v, want ErrDamaged naming another cluster", err)
	}
}
