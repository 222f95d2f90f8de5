package embedded

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/crashfs"
)

const testSalt = 0x0123456789abcdef

func sampleCommits() []store.Commit {
	return []store.Commit{
		{Revision: 41, Events: []store.Event{
			{Entry: &store.Entry{Key: "/i/default/a/1", Value: []byte("one"), CreateRevision: 41, ModRevision: 41}},
			{Entry: &store.Entry{Key: "/i/default/a/2", CreateRevision: 7, ModRevision: 9}, Deleted: true},
		}, Notes: [][]byte{[]byte("not kept")}},
		{Revision: 42, Events: []store.Event{
			{Entry: &store.Entry{Key: "/l/1", Value: bytes.Repeat([]byte{0xff}, 600), CreateRevision: 5, ModRevision: 42}},
		}},
	}
}

// collect reads a frame back, in a form that can be compared.
func collect(f *frame) (got []string, err error) {
	err = f.changes(func(c change) {
		s := string(c.key) + "=" + string(c.value)
		if c.deleted {
			s = string(c.key) + " deleted"
		}
		got = append(got, s)
	})
	return got, err
}

func TestFrameRoundTrip(t *testing.T) {
	b := appendFrame([]byte("before"), testSalt, sampleCommits())[len("before"):]
	if len(b)%sectorBytes != 0 {
		t.Errorf("a frame of %d bytes does not fill its sectors", len(b))
	}
	f, err := decodeFrame(append(b, "what follows"...), testSalt)
	if err != nil {
		t.Fatal(err)
	}
	if f.revision != 41 || f.last() != 42 || f.bytes() != int64(len(b)) {
		t.Errorf("got revisions %d to %d in %d bytes", f.revision, f.last(), f.bytes())
	}
	got, err := collect(&f)
	want := []string{"/i/default/a/1=one", "/i/default/a/2 deleted", "/l/1=" + strings.Repeat("\xff", 600)}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

func TestFrameOfAnotherSegmentIsNone(t *testing.T) {
	b := appendFrame(nil, testSalt, sampleCommits())
	if _, err := decodeFrame(b, testSalt+1); !errors.Is(err, errFrameSum) {
		t.Errorf("with another salt: %v, want %v", err, errFrameSum)
	}
}

func TestBoundIsAnUpperBound(t *testing.T) {
	for _, m := range []store.Mutation{
		{Puts: []store.Put{{Key: "k"}}},
		{Puts: []store.Put{{Key: strings.Repeat("k", 300), Value: make([]byte, 1<<20)}}, Deletes: []string{"a", "b"}},
	} {
		c := store.Commit{Revision: 1}
		for _, p := range m.Puts {
			c.Events = append(c.Events, store.Event{Entry: &store.Entry{Key: p.Key, Value: p.Value}})
		}
		for _, k := range m.Deletes {
			c.Events = append(c.Events, store.Event{Entry: &store.Entry{Key: k}, Deleted: true})
		}
		if n := len(appendCommit(nil, &c)); n > boundOf(&m) {
			t.Errorf("a mutation takes %d bytes, its bound is %d", n, boundOf(&m))
		}
	}
}

func TestNames(t *testing.T) {
	l := newListing("/d", []string{
		"LOCK", "META", "META.tmp", "log-000000000002", "log-000000000010", "log-000000000011.tmp", "log-2", "log-", "log-x.tmp",
		"snapshot-000000000009", "snapshot-1234567890123", "snapshot-000000000009.bak", "lost+found", "notes.tmp",
	})
	want := &listing{
		dir: "/d", meta: true, segments: []uint64{2, 10}, snapshots: []uint64{9, 1234567890123},
		temps: []string{"META.tmp", "log-000000000011.tmp"},
	}
	if d := cmp.Diff(want, l, cmp.AllowUnexported(listing{})); d != "" {
		t.Errorf("listing (-want +got):\n%s", d)
	}
}

// sampleSnapshot writes a snapshot of several blocks, and returns the disk and
// the file's path.
func sampleSnapshot(t testing.TB, valueBytes int) (*crashfs.FS, string, *state) {
	t.Helper()
	s := &state{revision: 900}
	for i := range uint64(100) {
		s.put(&store.Entry{Key: "/k/" + padded(i), Value: bytes.Repeat([]byte{byte(i)}, valueBytes), CreateRevision: i + 1, ModRevision: i + 800})
	}
	disk := crashfs.New(1)
	dir := &listing{dir: worldDir}
	if _, err := writeSnapshot(disk.Process(), dir, clusterID{1}, s, 3, nil); err != nil {
		t.Fatal(err)
	}
	return disk, dir.path(snapshotName(900)), s
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, valueBytes := range []int{0, 10, 10_000} {
		disk, path, want := sampleSnapshot(t, valueBytes)
		got := &state{}
		loaded, err := loadSnapshot(disk.Process(), path, clusterID{1}, 900, got)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.segment != 3 || loaded.bytes != disk.Used() || got.revision != 900 || got.bytes != want.bytes {
			t.Errorf("got %+v, revision %d, %d bytes", loaded, got.revision, got.bytes)
		}
		a, b := sorted(&want.entries, nil), sorted(&got.entries, nil)
		for i := range a {
			if i >= len(b) || !sameEntry(*a[i], *b[i]) {
				t.Fatalf("entry %d differs", i)
			}
		}
	}
}
