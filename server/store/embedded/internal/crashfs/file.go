package crashfs

import (
	"io"
	"math/rand/v2"
	"os"
	"slices"
)

// inode is a file's content, whatever names it has.
type inode struct {
	cached []byte // as processes read it
	disk   []byte // as it is after a crash, but for pending
	// pending holds, for each sector written since the last sync, its content
	// after each of the writes. lost tells that a sync failed with it.
	pending map[int64]*pending
}

type pending struct {
	contents [][]byte
	lost     bool
}

// file is a handle on an inode.
type file struct {
	fs      *FS
	content *inode
	path    string
	life    int
	closed  bool
}

func (f *file) usableLocked() error {
	switch {
	case f.closed:
		return pathError("use", f.path, os.ErrClosed)
	case f.life != f.fs.life:
		return pathError("use", f.path, errDead)
	}
	return nil
}

// ReadAt implements vfs.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if fault := f.fs.inject(Op{Kind: Read, Path: f.path, Offset: off, Bytes: len(p)}); fault.Err != nil {
		return 0, pathError(Read, f.path, fault.Err)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usableLocked(); err != nil {
		return 0, err
	}
	if off >= int64(len(f.content.cached)) {
		return 0, io.EOF
	}
	n := copy(p, f.content.cached[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	fault := f.fs.inject(Op{Kind: Write, Path: f.path, Offset: off, Bytes: len(p)})
	if fault.Err != nil || fault.Short {
		p = p[:min(fault.Written, len(p))]
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usableLocked(); err != nil {
		return 0, err
	}
	if grow := off + int64(len(p)) - int64(len(f.content.cached)); grow > 0 {
		if err := f.growLocked(grow); err != nil {
			return 0, err
		}
	}
	f.content.write(p, off)
	if fault.Err != nil {
		return len(p), pathError(Write, f.path, fault.Err)
	}
	return len(p), nil
}

// Allocate implements vfs.File.
func (f *file) Allocate(size int64) error {
	if fault := f.fs.inject(Op{Kind: Allocate, Path: f.path, Bytes: int(size)}); fault.Err != nil {
		return pathError(Allocate, f.path, fault.Err)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usableLocked(); err != nil {
		return err
	}
	return f.growLocked(size - int64(len(f.content.cached)))
}

func (f *file) growLocked(by int64) error {
	if by <= 0 {
		return nil
	}
	if f.fs.room >= 0 {
		if f.fs.usedLocked()+by > f.fs.room {
			return pathError(Write, f.path, errNoRoom)
		}
	}
	f.content.cached = append(f.content.cached, make([]byte, by)...)
	return nil
}

// Sync implements vfs.File.
func (f *file) Sync() error {
	fault := f.fs.inject(Op{Kind: Sync, Path: f.path})
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usableLocked(); err != nil {
		return err
	}
	if fault.Err != nil {
		f.content.syncFailed(f.fs.rng)
		return pathError(Sync, f.path, fault.Err)
	}
	f.content.sync()
	return nil
}

// Size implements vfs.File.
func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.content.cached)), f.usableLocked()
}

// Close implements vfs.File.
func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.path, os.ErrClosed)
	}
	f.closed = true
	return nil
}

func (n *inode) write(p []byte, off int64) {
	copy(n.cached[off:], p)
	if n.pending == nil {
		n.pending = make(map[int64]*pending)
	}
	for s := off / Sector; s*Sector < off+int64(len(p)); s++ {
		w := n.pending[s]
		if w == nil {
			w = &pending{}
			n.pending[s] = w
		}
		w.lost = false // what is written again is synced again
		w.contents = append(w.contents, slices.Clone(n.sector(n.cached, s)))
	}
}

func (n *inode) sector(b []byte, s int64) []byte {
	return b[min(s*Sector, int64(len(b))):min((s+1)*Sector, int64(len(b)))]
}

func (n *inode) resizeDisk() {
	if grow := len(n.cached) - len(n.disk); grow > 0 {
		n.disk = append(n.disk, make([]byte, grow)...)
	}
}

func (n *inode) sync() {
	n.resizeDisk()
	for s, w := range n.pending {
		if !w.lost {
			copy(n.sector(n.disk, s), w.contents[len(w.contents)-1])
			delete(n.pending, s)
		}
	}
}

func (n *inode) syncFailed(rng *rand.Rand) {
	n.resizeDisk()
	for _, s := range n.sectors() {
		w := n.pending[s]
		if rng.IntN(2) == 0 {
			copy(n.sector(n.disk, s), w.contents[len(w.contents)-1])
			delete(n.pending, s)
			continue
		}
		w.lost = true
	}
}

func (n *inode) crash(rng *rand.Rand) {
	if len(n.cached) > len(n.disk) && rng.IntN(2) == 0 {
		n.resizeDisk()
	}
	for _, s := range n.sectors() {
		w := n.pending[s]
		if i := rng.IntN(len(w.contents) + 1); i > 0 {
			copy(n.sector(n.disk, s), w.contents[i-1])
		}
	}
	n.pending = nil
	n.cached = slices.Clone(n.disk)
}

func (n *inode) sectors() []int64 {
	all := make([]int64, 0, len(n.pending))
	for s := range n.pending {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}
