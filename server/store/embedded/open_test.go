package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/crashfs"
)

func TestOpenMakesADirectoryForItselfAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := mustOpen(t, Options{Dir: dir, SegmentBytes: minSegmentBytes})
	defer s.Close()
	check := func(path string, want os.FileMode) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
	check(dir, os.ModeDir|0o700)
	for _, name := range []string{metaName, lockName, segmentName(1)} {
		check(filepath.Join(dir, name), 0o600)
	}
	if len(s.ClusterID()) != 32 {
		t.Errorf("cluster id %q is not 128 bits in hexadecimal", s.ClusterID())
	}
}

func TestOpenRefusesASecondServer(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: minSegmentBytes}
	s := mustOpen(t, o)
	_, err := Open(o)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("got %v, want ErrLocked naming process %d", err, os.Getpid())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, o).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesWhatIsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v, want one about a file that is no directory", dir, err)
		}
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("a store without a directory was opened")
	}
}

func TestOpenRefusesAReadOnlyDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		dir := "/proc/self" // root may write anywhere else
		if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v, want an error about %s", err, dir)
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "must be writable") {
		t.Errorf("got %v, want one about permission", err)
	}
}

func TestOpenRefusesBadOptions(t *testing.T) {
	for _, o := range []Options{
		{Dir: "x", SegmentBytes: minSegmentBytes - 1},
		{Dir: "x", SegmentBytes: maxSegmentBytes + 1},
		{Dir: "x", SnapshotBytes: -1},
	} {
		if _, err := Open(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := os.Stat("x"); !errors.Is(err, os.ErrNotExist) {
		t.Error("a directory was made for bad options")
	}
}

// TestCreateOnAFullDisk: there is a clear error at every point, and nothing
// that keeps a later attempt from succeeding.
func TestCreateOnAFullDisk(t *testing.T) {
	disk := crashfs.New(1)
	o := Options{Dir: worldDir, SegmentBytes: 16 << 10}
	for room := int64(0); room < 16<<10+sectorBytes; room += 4 << 10 {
		disk.SetRoom(room)
		o.fs = disk.Process()
		if _, err := Open(o); !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), worldDir) {
			t.Fatalf("room %d: got %v, want ErrFull", room, err)
		}
	}
	disk.SetRoom(-1)
	if err := mustOpen(t, o).Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFaultsWhileOpening: each operation of Open fails once; the error names
// the directory, and the next attempt succeeds with all that was there.
func TestFaultsWhileOpening(t *testing.T) {
	w := aged(t, 9)
	for at := int64(1); ; at++ {
		var count atomic.Int64
		o := w.opts
		o.fs = w.disk.Process()
		w.disk.SetFault(func(op crashfs.Op) crashfs.Fault {
			// The preparer works beside; its failures are no concern of Open.
			if count.Add(1) == at && op.Kind != crashfs.Allocate {
				return crashfs.Fault{Err: syscall.EIO}
			}
			return crashfs.Fault{}
		})
		s, err := Open(o)
		w.disk.SetFault(nil)
		if err == nil {
			_ = s.Close()
			if count.Load() < at {
				break
			}
			continue
		}
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), worldDir) {
			t.Fatalf("operation %d failed: got %v", at, err)
		}
		w.idle()
	}
}
