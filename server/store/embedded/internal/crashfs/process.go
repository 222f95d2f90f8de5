package crashfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// process is one process's view of the file system.
type process struct {
	fs   *FS
	life int
}

var _ vfs.FS = (*process)(nil)

var errDead = errors.New("the process has died")

// errNoRoom is what a full disk says.
const errNoRoom = syscall.ENOSPC

// enter begins an operation on names: unless there is an error, the file
// system is locked.
func (p *process) enter(op Op) (*FS, error) {
	if f := p.fs.inject(op); f.Err != nil {
		return nil, pathError(op.Kind, op.Path, f.Err)
	}
	p.fs.mu.Lock()
	if p.life != p.fs.life {
		p.fs.mu.Unlock()
		return nil, pathError(op.Kind, op.Path, errDead)
	}
	return p.fs, nil
}

// MakeDir implements vfs.FS. Directories are always there.
func (p *process) MakeDir(string) error { return nil }

// List implements vfs.FS.
func (p *process) List(dir string) ([]string, error) {
	fs, err := p.enter(Op{Kind: List, Path: dir})
	if err != nil {
		return nil, err
	}
	defer fs.mu.Unlock()
	var names []string
	for path := range fs.names {
		if filepath.Dir(path) == filepath.Clean(dir) {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

// Create implements vfs.FS.
func (p *process) Create(path string) (vfs.File, error) {
	fs, err := p.enter(Op{Kind: Create, Path: path})
	if err != nil {
		return nil, err
	}
	defer fs.mu.Unlock()
	if fs.names[path] != nil {
		return nil, pathError(Create, path, os.ErrExist)
	}
	n := &inode{}
	fs.names[path] = n
	fs.changes = append(fs.changes, change{to: path, content: n})
	return &file{fs: fs, content: n, path: path, life: p.life}, nil
}

// Open implements vfs.FS.
func (p *process) Open(path string) (vfs.File, error) {
	fs, err := p.enter(Op{Kind: Open, Path: path})
	if err != nil {
		return nil, err
	}
	defer fs.mu.Unlock()
	n := fs.names[path]
	if n == nil {
		return nil, pathError(Open, path, os.ErrNotExist)
	}
	return &file{fs: fs, content: n, path: path, life: p.life}, nil
}

// Rename implements vfs.FS.
func (p *process) Rename(oldPath, newPath string) error {
	fs, err := p.enter(Op{Kind: Rename, Path: newPath})
	if err != nil {
		return err
	}
	defer fs.mu.Unlock()
	n := fs.names[oldPath]
	if n == nil {
		return pathError(Rename, oldPath, os.ErrNotExist)
	}
	delete(fs.names, oldPath)
	fs.names[newPath] = n
	fs.changes = append(fs.changes, change{from: oldPath, to: newPath, content: n})
	return nil
}

// Remove implements vfs.FS.
func (p *process) Remove(path string) error {
	fs, err := p.enter(Op{Kind: Remove, Path: path})
	if err != nil {
		return err
	}
	defer fs.mu.Unlock()
	if fs.names[path] == nil {
		return pathError(Remove, path, os.ErrNotExist)
	}
	delete(fs.names, path)
	fs.changes = append(fs.changes, change{from: path})
	return nil
}

// SyncDir implements vfs.FS. It syncs all directories.
func (p *process) SyncDir(dir string) error {
	fs, err := p.enter(Op{Kind: SyncDir, Path: dir})
	if err != nil {
		return err
	}
	defer fs.mu.Unlock()
	fs.applyLocked(fs.changes, nil)
	fs.changes = nil
	return nil
}

// Lock implements vfs.FS.
func (p *process) Lock(path string) (io.Closer, error) {
	fs, err := p.enter(Op{Kind: Open, Path: path})
	if err != nil {
		return nil, err
	}
	defer fs.mu.Unlock()
	if fs.locked[path] != nil {
		return nil, &vfs.LockedError{Path: path, Holder: "1"}
	}
	l := &lock{fs: fs, path: path}
	fs.locked[path] = l
	return l, nil
}

func pathError(k Kind, path string, err error) error {
	return &os.PathError{Op: string(k), Path: path, Err: err}
}
