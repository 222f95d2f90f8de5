// Package vfs is the seam between the embedded store and the file system: the
// few calls that the store's durability rests on, so that tests can make each
// of them fail or be forgotten in a crash (package crashfs).
package vfs

import (
	"errors"
	"io"
	"syscall"
)

// FS is what the store asks of a file system. Paths are as the caller gave
// them. All methods are safe for concurrent use.
type FS interface {
	// MakeDir makes a directory (mode 0700) and its missing parents, durably.
	// It is no error that the directory exists.
	MakeDir(path string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	// Create makes a new file (mode 0600), for reading and writing. The name
	// is durable only after SyncDir.
	Create(path string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(path string) (File, error)
	// Rename replaces newPath by oldPath; durable only after SyncDir.
	Rename(oldPath, newPath string) error
	// Remove removes a file; durable only after SyncDir.
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock locks a file, which it makes if needed, until the closer is closed
	// or the process ends. If another process has it, the error is *LockedError.
	Lock(path string) (io.Closer, error)
}

// File is an open file. Its methods may be called concurrently on ranges that
// do not overlap; Close only when nothing else runs.
type File interface {
	io.ReaderAt
	// WriteAt may write less than it was given, with or without an error: the
	// count says how much.
	io.WriterAt
	io.Closer
	// Size is the file's length in bytes.
	Size() (int64, error)
	// Allocate reserves room for size bytes, and makes the file that long.
	// Where the file system cannot reserve, it does nothing.
	Allocate(size int64) error
	// Sync makes the content durable, with what metadata it needs. After an
	// error nobody knows which writes are durable; trying again tells nothing.
	Sync() error
}

// LockedError says that another process holds a lock.
type LockedError struct {
	Path string
	// Holder is what the holder wrote into the file: its process id, or empty.
	Holder string
}

// Error implements error.
func (e *LockedError) Error() string {
	if e.Holder == "" {
		return "lock " + e.Path + ": held by another process"
	}
	return "lock " + e.Path + ": held by process " + e.Holder
}

// IsFull tells whether an error says that the disk, or the user's share of
// it, has no room.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// WriteFull writes all of p at off, however many calls that takes. It returns
// how much was written before an error.
func WriteFull(f File, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := f.WriteAt(p[done:], off+int64(done))
		done += n
		if err != nil && !errors.Is(err, io.ErrShortWrite) {
			return done, err
		}
		if n == 0 {
			return done, io.ErrNoProgress
		}
	}
	return done, nil
}
