// Package crashfs is a file system in memory that forgets what was not synced
// when it crashes, and fails where a test wants it to.
//
// It is meaner than a real disk, within what the store may assume of one. In a
// crash each 512-byte sector written since the last sync keeps, on its own, its
// old content or that of any write since; each name changed since the directory
// was synced is lost in an order that a journal allows, and removals come back
// at will. After a failed sync the written data can still be read, but later
// syncs do not bring it to the disk, as on Linux.
package crashfs

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// Sector is the unit that a crash keeps or loses.
const Sector = 512

// FS is the file system. All methods are safe for concurrent use.
type FS struct {
	mu      sync.Mutex
	rng     *rand.Rand
	names   map[string]*inode // as processes see them
	durable map[string]*inode // as they are after a crash
	changes []change          // of names, since SyncDir
	locked  map[string]*lock
	life    int // raised by a crash: older handles are dead
	room    int64
	fault   func(Op) Fault
}

// change of the names: a creation or a rename if content is set, or a removal.
type change struct {
	from, to string
	content  *inode
}

// New makes an empty file system. All chance in it comes from the seed.
func New(seed uint64) *FS {
	return &FS{
		rng:     rand.New(rand.NewPCG(seed, 0)),
		names:   make(map[string]*inode),
		durable: make(map[string]*inode),
		locked:  make(map[string]*lock),
		room:    -1,
	}
}

// Process is the file system as one process has it: from the next Crash or Kill
// on, everything in it fails.
func (fs *FS) Process() vfs.FS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return &process{fs: fs, life: fs.life}
}

// applyLocked makes changes durable. Removals are left out where keep says so.
func (fs *FS) applyLocked(changes []change, keep func() bool) {
	for _, c := range changes {
		if c.from != "" && (c.content != nil || keep == nil || !keep()) {
			delete(fs.durable, c.from)
		}
		if c.content != nil {
			fs.durable[c.to] = c.content
		}
	}
}

// Crash is a loss of power: what was not synced is kept or lost at random, and
// nothing that was open can be used any more.
func (fs *FS) Crash() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.applyLocked(fs.changes[:fs.rng.IntN(len(fs.changes)+1)], func() bool { return fs.rng.IntN(2) == 0 })
	fs.changes = nil
	seen := make(map[*inode]bool)
	fs.names = make(map[string]*inode, len(fs.durable))
	// In the order of the names, for the same seed to do the same.
	for _, path := range fs.sortedLocked(fs.durable) {
		n := fs.durable[path]
		fs.names[path] = n
		if !seen[n] {
			seen[n] = true
			n.crash(fs.rng)
		}
	}
	fs.endLocked()
}

// Kill is the death of the process: the system still has everything, but
// nothing that was open can be used any more.
func (fs *FS) Kill() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.endLocked()
}

func (fs *FS) endLocked() {
	fs.life++
	clear(fs.locked)
	fs.fault = nil
}

func (fs *FS) sortedLocked(names map[string]*inode) []string {
	paths := make([]string, 0, len(names))
	for p := range names {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

type lock struct {
	fs   *FS
	path string
}

// Close releases the lock, unless a crash already has.
func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.fs.locked[l.path] == l {
		delete(l.fs.locked, l.path)
	}
	return nil
}

// Dump returns the content of all files as processes see it, to compare
// before and after.
func (fs *FS) Dump() map[string]string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	all := make(map[string]string)
	for path, n := range fs.names {
		all[path] = string(n.cached)
	}
	return all
}

// Change lets edit rewrite a file durably, as bit rot or an operator does; nil
// removes it. A path without such a file is an error.
func (fs *FS) Change(path string, edit func([]byte) []byte) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.names[path]
	if n == nil {
		return pathError(Open, path, os.ErrNotExist)
	}
	b := edit(slices.Clone(n.cached))
	if b == nil {
		delete(fs.names, path)
		delete(fs.durable, path)
		return nil
	}
	fs.names[path] = &inode{cached: b, disk: slices.Clone(b)}
	fs.durable[path] = fs.names[path]
	return nil
}

// Paths are the files whose base name begins with prefix, in order.
func (fs *FS) Paths(prefix string) []string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return slices.DeleteFunc(fs.sortedLocked(fs.names), func(p string) bool {
		return !strings.HasPrefix(filepath.Base(p), prefix)
	})
}
