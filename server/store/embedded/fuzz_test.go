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
		if fr.changes(func(c change) {
			e := store.Event{Entry: &store.Entry{Key: string(c.key), Value: c.value}, Deleted: c.deleted}
			commit := &commits[c.revision-fr.revision]
			commit.Events = append(commit.Events, e)
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

// FuzzSegment: any file in place of a log segment is replayed, or refused, and
// does no harm. Nothing runs beside it, so that the fuzzer sees what its inputs
// do and nothing else.
func FuzzSegment(f *testing.F) {
	first := appendFrame(nil, testSalt, []store.Commit{{Revision: 1, Events: sampleCommits()[0].Events[:1]}})
	second := appendFrame(nil, testSalt, []store.Commit{{Revision: 2, Events: sampleCommits()[0].Events}})
	f.Add(append(first, second...), uint64(0))
	f.Add(append(make([]byte, sectorBytes), second...), uint64(1))
	f.Add([]byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, frames []byte, base uint64) {
		size := padToSector(int64(len(frames))) + 2*sectorBytes
		h := header{magic: segmentMagic, fields: [headerFields]uint64{1, testSalt, uint64(size)}}
		b := make([]byte, size)
		copy(b, h.encode())
		copy(b[sectorBytes:], frames)
		disk := crashfs.New(1)
		place(t, disk, worldDir+"/"+segmentName(1), b)
		dir := &listing{dir: worldDir, segments: []uint64{1}}
		r := &replayer{fs: disk.Process(), dir: dir, state: &state{revision: base}}
		if err := r.replay(1); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("got %v, want ErrDamaged", err)
		}
		if err := r.tail.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzSnapshot: any content after a snapshot's header is read, or refused. As
// the fuzzer does not guess checksums, entries are read from it as well.
func FuzzSnapshot(f *testing.F) {
	for _, valueBytes := range []int{0, 30} {
		disk, path, _ := sampleSnapshot(f, valueBytes)
		whole := []byte(disk.Dump()[path])[sectorBytes:]
		f.Add(whole[:len(whole)-blockHeader])
		f.Add(whole[blockHeader : len(whole)-blockHeader])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := crashfs.New(1)
		place(t, disk, "/snapshot", b)
		file, err := disk.Process().Open("/snapshot")
		if err != nil {
			t.Fatal(err)
		}
		r := &blockReader{file: file, path: "/snapshot", size: int64(len(b)), out: make(chan block, 1+len(b)/blockHeader), stop: make(chan struct{})}
		r.run()
		raw := make(chan block, 1)
		raw <- block{content: b}
		close(raw)
		for _, blocks := range []chan block{r.out, raw} {
			if err := (&state{}).load(blocks, "/snapshot", 900, nil); err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatalf("got %v, want ErrDamaged", err)
			}
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

// place makes a file with a content.
func place(t *testing.T, disk *crashfs.FS, path string, content []byte) {
	t.Helper()
	f, err := disk.Process().Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := disk.Change(path, func([]byte) []byte { return append([]byte{}, content...) }); err != nil {
		t.Fatal(err)
	}
}
