package muster

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// What the names of cache files end in.
const (
	cacheSuffix  = ".view"
	tempSuffix   = ".tmp"
	asideCorrupt = ".corrupt"
	asideNewer   = ".newer"
)

// cacheFiles is a directory of cache files; tests put faults in between. Only
// the cache's goroutine writes, anybody reads.
type cacheFiles interface {
	read(name string) ([]byte, error)
	// write replaces a file as a whole, or leaves it as it was.
	write(name string, content []byte) error
	rename(from, to string) error
	remove(name string) error
	// list has every file that a cache made, of other processes too.
	list() ([]rules.CacheSize, error)
}

// cacheDir is a cacheFiles of the operating system.
type cacheDir string

// openCacheDir makes the directory if it is not there, for this user alone, and
// tells whether it can be written to.
func openCacheDir(path string) (cacheFiles, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(path, ".0000000000000000.*"+tempSuffix)
	if errors.Is(err, syscall.ENOSPC) {
		return cacheDir(path), nil // that passes
	}
	if err != nil {
		return nil, err
	}
	return cacheDir(path), errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (d cacheDir) path(name string) string { return filepath.Join(string(d), name) }

func (d cacheDir) read(name string) ([]byte, error) {
	info, err := os.Stat(d.path(name))
	if err != nil {
		return nil, err
	}
	if info.Size() > defaults.CacheLimit {
		return nil, fmt.Errorf("%s has %d bytes, more than a cache may hold", name, info.Size())
	}
	return os.ReadFile(d.path(name)) //nolint:gosec // in the directory that the user named
}

func (d cacheDir) write(name string, content []byte) error {
	// A name of its own: another process may be writing the same view.
	temp := d.path("." + strings.TrimSuffix(name, cacheSuffix) + "." + rand.Text() + tempSuffix)
	err := writeNew(temp, content)
	if err == nil {
		err = os.Rename(temp, d.path(name))
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp)))
	}
	return d.sync()
}

// writeNew writes a file that did not exist, through to the disk.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in the directory that the user named
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// sync makes a rename last.
func (d cacheDir) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d cacheDir) rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

func (d cacheDir) remove(name string) error { return ignoreMissing(os.Remove(d.path(name))) }

func (d cacheDir) list() ([]rules.CacheSize, error) {
	all, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	var files []rules.CacheSize
	for _, entry := range all {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !isCacheName(entry.Name()) {
			continue // gone meanwhile, or not ours
		}
		files = append(files, rules.CacheSize{
			Name: entry.Name(), Bytes: uint64(info.Size()), ModifiedMs: info.ModTime().UnixMilli(),
		})
	}
	return files, nil
}

// isCacheName tells whether a cache made a file of this name, so that nothing
// else in the directory is ever removed.
func isCacheName(name string) bool {
	base, ending, _ := strings.Cut(strings.TrimPrefix(name, "."), ".")
	if len(base) != 16 || strings.Trim(base, "0123456789abcdef") != "" {
		return false
	}
	switch "." + ending {
	case cacheSuffix, cacheSuffix + asideCorrupt, cacheSuffix + asideNewer:
		return !strings.HasPrefix(name, ".")
	default:
		return strings.HasPrefix(name, ".") && strings.HasSuffix(ending, tempSuffix)
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
