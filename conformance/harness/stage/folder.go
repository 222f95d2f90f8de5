package stage

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// folderPattern is the name of the folder of one run.
	folderPattern = "muster-conformance-*"
	// lockName is a file that the harness holds locked while it uses a folder.
	lockName = "lock"
)

// NewFolder makes the folder of one run, and removes those that killed
// harnesses left. One that is to be kept is removed by nobody.
func NewFolder(keep bool) (string, error) {
	return newFolder(os.TempDir(), keep)
}

func newFolder(parent string, keep bool) (string, error) {
	sweep(parent)
	dir, err := os.MkdirTemp(parent, folderPattern)
	if err != nil || keep {
		return dir, err
	}
	// It gets its name once it is locked, so that nobody takes it for left.
	name := filepath.Join(dir, lockName)
	lock, err := os.Create(name + ".new")
	if err == nil {
		err = errors.Join(tryLock(lock), os.Rename(name+".new", name))
	}
	held = append(held, lock)
	return dir, err
}

// held are the locks of this process, until its end.
var held []*os.File

// sweep removes folders whose locks nobody holds. Those without a lock are kept
// ones, or just being made.
func sweep(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, folderPattern))
	for _, dir := range dirs {
		lock, err := os.Open(filepath.Join(dir, lockName))
		if err != nil {
			continue
		}
		if tryLock(lock) == nil {
			_ = os.RemoveAll(dir) // whoever may not, leaves it to its owner
		}
		_ = lock.Close()
	}
}

func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
