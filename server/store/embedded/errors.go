package embedded

import (
	"errors"
	"fmt"
)

var (
	// ErrDamaged says that a file does not hold what was once durable in it.
	// Open refuses then, and changes nothing. The chain holds a *DamageError.
	ErrDamaged = errors.New("store is damaged")
	// ErrFormat says that a file is of a format that this version cannot
	// read, usually because a later version wrote it.
	ErrFormat = errors.New("store format is unknown")
	// ErrLocked says that another process has the directory open.
	ErrLocked = errors.New("store directory is in use")
)

// DamageError says where a file is damaged and how that shows.
type DamageError struct {
	// Path is the damaged or missing file.
	Path string
	// Offset is the first byte that is wrong; 0 for the file as a whole.
	Offset int64
	// Problem tells what is wrong there.
	Problem string
}

// Error implements error.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s; nothing was changed; "+
		"restore the directory from a backup, or move it away to begin an empty history", e.Path, e.Offset, e.Problem)
}

// Is makes every damage an ErrDamaged.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

func damaged(path string, offset int64, format string, args ...any) error {
	return &DamageError{Path: path, Offset: offset, Problem: fmt.Sprintf(format, args...)}
}
