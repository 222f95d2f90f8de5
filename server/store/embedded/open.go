package embedded

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded/internal/vfs"
)

// Open opens the store in a directory, or creates one there. It reads the
// newest snapshot and the log after it; a write at the log's end that was torn
// by a crash, and so never answered, is dropped.
//
// Errors: ErrLocked, ErrDamaged, ErrFormat, store.ErrFull (no room to create
// one), or what the file system says. After ErrDamaged and ErrFormat all files
// are as they were.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s, err := open(&o)
	if err != nil {
		if vfs.IsFull(err) {
			err = fmt.Errorf("%w: %w", store.ErrFull, err)
		}
		return nil, fmt.Errorf("open store in %s: %w", o.Dir, err)
	}
	return s, nil
}

func open(o *Options) (*Store, error) {
	if err := o.fs.MakeDir(o.Dir); err != nil {
		return nil, fmt.Errorf("the directory cannot be made: %w", err)
	}
	lock, err := o.fs.Lock((&listing{dir: o.Dir}).path(lockName))
	if held := (*vfs.LockedError)(nil); errors.As(err, &held) {
		return nil, fmt.Errorf("%w: %w; stop that process, or give this one another directory", ErrLocked, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the directory must be writable by this process: %w", err)
	}
	s, err := openLocked(o, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func openLocked(o *Options, lock io.Closer) (*Store, error) {
	began := time.Now()
	// What another process wrote just before it died may be known to the
	// system and not to the disk: first of all the names.
	if err := o.fs.SyncDir(o.Dir); err != nil {
		return nil, fmt.Errorf("sync directory: %w", err)
	}
	names, err := o.fs.List(o.Dir)
	if err != nil {
		return nil, err
	}
	dir := newListing(o.Dir, names)
	var cluster clusterID
	if dir.meta {
		cluster, err = readMeta(o.fs, dir)
	} else {
		cluster, err = createStore(o.fs, dir, o.SegmentBytes)
	}
	if err != nil {
		return nil, err
	}
	r, err := recoverState(o, dir, cluster)
	if err != nil {
		return nil, err
	}
	removeAll(o.fs, dir, r.obsolete, o.Logger)
	o.Logger.Info("store opened", "directory", o.Dir, "cluster_id", cluster, "revision", r.state.revision,
		"entries", r.state.entries.Len(), "snapshot_bytes", r.snapshot.bytes, "log_bytes", r.tail.bytes, "took", time.Since(began))
	return newStore(o, lock, dir, cluster, r), nil
}

// recovered is what the disk holds.
type recovered struct {
	state    *state
	snapshot loadedSnapshot
	tail     *tail
	obsolete []string // files that are of no use any more
}

func recoverState(o *Options, dir *listing, cluster clusterID) (*recovered, error) {
	r := &recovered{state: &state{}, snapshot: loadedSnapshot{segment: 1}}
	if n := len(dir.snapshots); n > 0 {
		newest := dir.snapshots[n-1]
		var err error
		r.snapshot, err = loadSnapshot(o.fs, dir.path(snapshotName(newest)), cluster, newest, r.state)
		if err != nil {
			return nil, err
		}
	}
	p := &replayer{fs: o.fs, dir: dir, cluster: cluster, state: r.state}
	err := p.replay(r.snapshot.segment)
	r.tail = &p.tail
	if err == nil {
		err = r.tail.makeDurable(o.Logger)
	}
	if err != nil {
		return nil, errors.Join(err, r.tail.close())
	}
	r.obsolete = dir.obsolete(r.snapshot.segment)
	return r, nil
}

// makeDurable writes the newest frame once more, as it is. The process before
// may have failed to sync it: then the system has it, and may never bring it to
// the disk unless it is written again. All older frames are durable, since each
// was synced before the next was begun.
func (t *tail) makeDurable(logger *slog.Logger) error {
	if t.torn {
		logger.Warn("dropped a torn write at the end of the log; nothing in it was ever confirmed",
			"file", t.segment.path, "offset", t.offset)
	}
	if t.last == nil {
		return nil
	}
	if _, err := vfs.WriteFull(t.segment.file, t.last, t.offset-int64(len(t.last))); err != nil {
		return fmt.Errorf("write the newest frame of %s again: %w", t.segment.path, err)
	}
	if err := t.segment.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", t.segment.path, err)
	}
	t.last = nil
	return nil
}

// obsolete names the files that a store whose log begins with segment first
// does not need.
func (l *listing) obsolete(first uint64) []string {
	names := l.temps
	for i, revision := range l.snapshots {
		if i < len(l.snapshots)-1 {
			names = append(names, snapshotName(revision))
		}
	}
	for _, n := range l.segments {
		if n < first {
			names = append(names, segmentName(n))
		}
	}
	return names
}
