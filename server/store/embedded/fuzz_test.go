package embedded

import (
	"errors"
	"testing"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/crashfs"
)

// FuzzFrame: whatever passes for a frame can be read without harm, and what
// is read can be written again and read as the same.
func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, testSalt, sampleCommits()))
	f.Add(appendFrame(nil, testSalt, sampleCommits()[1:]))
	f.Add(make([]byte, sectorBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := decodeFrame(b, testSalt)
		if err != nil {
			// Fuzzing does not guess checksums: go on as if it were right.
			if !errors.Is(err, errFrameSum) || len(b) < frameHeader {
				return
			}
			fr = frame{revision: 1, commits: 1 + uint32(b[12]), payload: b[frameHeader:]}
		}
		commits := make([]store.Commit, fr.commits)
		if fr.changes(func(c change) error {
			e := store.Event{Entry: store.Entry{Key: string(c.key), Value: c.value}, Deleted: c.deleted}
			commit := &commits[c.revision-fr.revision]
			commit.Events = append(commit.Events, e)
			return nil
		}) != nil {
			return
		}
		for i := range commits {
			commits[i].Revision = fr.revision + uint64(i)
		}
		again, err := decodeFrame(appendFrame(nil, testSalt, commits), testSalt)
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
		want, _ := collect(&fr)
		got, err := collect(&again)
		if err != nil || len(got) != len(want) {
			t.Fatalf("read again: %v, %d events, were %d", err, len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("event %d is %q, was %q", i, got[i], want[i])
			}
		}
	})
}

// FuzzSegment: any file in place of a log segment opens, or is refused, and
// does no harm.
func FuzzSegment(f *testing.F) {
	w := &world{disk: crashfs.New(1)}
	w.opts = Options{Dir: worldDir, SegmentBytes: 4 << 10, fs: w.disk.Process()}
	s, err := Open(w.opts)
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	cluster, err := readMeta(w.disk.Process(), &listing{dir: worldDir})
	if err != nil {
		f.Fatal(err)
	}
	first := appendFrame(nil, testSalt, []store.Commit{{Revision: 1, Events: sampleCommits()[0].Events[:1]}})
	second := appendFrame(nil, testSalt, []store.Commit{{Revision: 2, Events: sampleCommits()[0].Events}})
	f.Add(append(first, second...))
	f.Add(append(make([]byte, sectorBytes), second...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frames []byte) {
		size := padToSector(int64(len(frames))) + 2*sectorBytes
		h := header{magic: segmentMagic, cluster: cluster, fields: [headerFields]uint64{1, testSalt, uint64(size)}}
		b := append(h.encode(), frames...)
		b = append(b, make([]byte, size-int64(len(b)))...)
		openWith(t, w, segmentName(1), b)
	})
}

// FuzzSnapshot does the same with a snapshot.
func FuzzSnapshot(f *testing.F) {
	for _, valueBytes := range []int{0, 100} {
		disk, path, _ := sampleSnapshot(f, valueBytes)
		f.Add([]byte(disk.Dump()[path]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := crashfs.New(1)
		file, err := disk.Process().Create("/snapshot")
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if err := disk.Change("/snapshot", func([]byte) []byte { return append([]byte{}, b...) }); err != nil {
			t.Fatal(err)
		}
		s := &state{}
		_, err = loadSnapshot(disk.Process(), "/snapshot", clusterID{1}, 900, s)
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Fatalf("got %v, want ErrDamaged", err)
		}
		blocks := make(chan block, 1)
		blocks <- block{content: b}
		close(blocks)
		if err := (&state{}).load(blocks, "/snapshot", 900); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("entries: got %v, want ErrDamaged", err)
		}
	})
}

// FuzzHeader: a header is read as it was written, or refused.
func FuzzHeader(f *testing.F) {
	h := header{magic: metaMagic, cluster: clusterID{1, 2}, fields: [headerFields]uint64{1, 2, 3, 4}}
	f.Add(h.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeHeader(b, metaMagic)
		if err == nil && string(got.encode()[:64]) != string(b[:64]) {
			t.Fatalf("%x was read as %+v", b[:64], got)
		}
	})
}

func openWith(t *testing.T, w *world, name string, content []byte) {
	t.Helper()
	disk := crashfs.New(1)
	copyDisk(t, w.disk, disk)
	if err := disk.Change(worldDir+"/"+name, func([]byte) []byte { return content }); err != nil {
		t.Fatal(err)
	}
	if err := disk.Change(worldDir+"/"+segmentName(2), func([]byte) []byte { return nil }); err != nil {
		t.Fatal(err)
	}
	o := w.opts
	o.fs = disk.Process()
	s, err := Open(o)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("got %v, want ErrDamaged", err)
		}
		return
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
