//go:build !linux

package vfs

// Allocate implements File. There is no portable call that reserves room; the
// store writes the whole file anyway.
func (f osFile) Allocate(size int64) error { return f.Truncate(size) }

// Sync implements File.
func (f osFile) Sync() error { return f.File.Sync() }
