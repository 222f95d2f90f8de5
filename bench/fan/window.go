package fan

import (
	"sync"
	"sync/atomic"
)

// Window bounds how many changes may be written that not all watchers have
// seen yet. Changes count from 0, for each watcher in the order in which it sees
// them: if at most a window of them is under way, and no two of those concern
// the same instance, that is the same for all.
//
// So that counting costs little, changes are counted in groups of some; a
// group counts as seen when every watcher has seen all of it.
type Window struct {
	size, group uint64
	need        int64
	seen        []atomic.Int64

	mu      sync.Mutex
	moved   sync.Cond
	granted uint64
	done    uint64 // groups that everybody has seen
	closed  bool
}

// NewWindow makes a window of size changes for some watchers, counted in groups;
// size must be a multiple of group, and at least twice as much unless both are 1.
func NewWindow(size, group, watchers int) *Window {
	w := &Window{
		size: uint64(size), group: uint64(group), need: int64(group) * int64(watchers), //nolint:gosec // small
		seen: make([]atomic.Int64, size/group+2),
	}
	w.moved.L = &w.mu
	return w
}

// Take waits until one more change may be written. It is false once the window
// was closed.
func (w *Window) Take() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && w.granted >= w.done*w.group+w.size {
		w.moved.Wait()
	}
	if w.closed {
		return false
	}
	w.granted++
	return true
}

// Seen notes that one watcher, which had seen some changes, has now seen more.
func (w *Window) Seen(from, to uint64) {
	for from < to {
		g := from / w.group
		end := min(to, (g+1)*w.group)
		slot := &w.seen[g%uint64(len(w.seen))]
		if slot.Add(int64(end-from)) == w.need { //nolint:gosec // at most a group
			w.finish()
		}
		from = end
	}
}

func (w *Window) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		slot := &w.seen[w.done%uint64(len(w.seen))]
		if slot.Load() != w.need {
			return
		}
		slot.Store(0)
		w.done++
		w.moved.Broadcast()
	}
}

// Done is how many changes every watcher has seen.
func (w *Window) Done() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done * w.group
}

// Granted is how many changes were allowed.
func (w *Window) Granted() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.granted
}

// Close makes Take return false, now and for ever.
func (w *Window) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.moved.Broadcast()
}
