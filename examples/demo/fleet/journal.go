package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// maxEvents bounds a journal: hours of an example program's output. Lines
// beyond it are counted as lost, and waiting for one fails by its deadline.
const maxEvents = 1 << 20

// maxLine bounds one line of output; a longer one is cut there.
const maxLine = 1 << 16

// Journal is what a process has written to its standard output, in order. It is
// safe for concurrent use.
type Journal struct {
	// notice is called with each event, in order; may be nil.
	notice func(Event)

	mu      sync.Mutex
	partial []byte
	events  []Event
	strange []string // lines that are no events
	ended   bool
	changed chan struct{}
}

func newJournal(notice func(Event)) *Journal {
	return &Journal{notice: notice, changed: make(chan struct{})}
}

// Write takes the process's output, in pieces of any size.
func (j *Journal) Write(piece []byte) (int, error) {
	j.mu.Lock()
	j.partial = append(j.partial, piece...)
	var fresh []Event
	for {
		line, rest, found := bytes.Cut(j.partial, []byte("\n"))
		if !found && len(j.partial) < maxLine {
			break
		}
		j.partial = rest
		fresh = append(fresh, j.takeLocked(line)...)
	}
	if len(fresh) > 0 {
		j.wakeLocked()
	}
	j.mu.Unlock()
	if j.notice != nil {
		for _, e := range fresh {
			j.notice(e)
		}
	}
	return len(piece), nil
}

func (j *Journal) takeLocked(line []byte) []Event {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		if len(j.strange) < keptLines {
			j.strange = append(j.strange, string(line))
		}
		return nil
	}
	if len(j.events) >= maxEvents {
		return nil
	}
	j.events = append(j.events, e)
	return []Event{e}
}

// end tells those who wait that nothing follows.
func (j *Journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.wakeLocked()
}

func (j *Journal) wakeLocked() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// Mark is the present end of the journal, to look at what follows from there.
func (j *Journal) Mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.events)
}

// Since returns the events from a mark on; 0 is all.
func (j *Journal) Since(mark int) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events[min(mark, len(j.events)):])
}

// Strange returns the first lines that were no events.
func (j *Journal) Strange() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.strange)
}

// first waits for the first event from a mark on that matches. It fails when
// ctx ends or the output does, and names what was waited for.
func (j *Journal) first(ctx context.Context, mark int, what string, match func(Event) bool) (Event, error) {
	for at := mark; ; {
		j.mu.Lock()
		fresh, ended, changed := j.events[min(at, len(j.events)):], j.ended, j.changed
		j.mu.Unlock()
		if i := slices.IndexFunc(fresh, match); i >= 0 {
			return fresh[i], nil
		}
		at += len(fresh)
		if ended {
			return Event{}, fmt.Errorf("%s: it never came, the output ended", what)
		}
		select {
		case <-ctx.Done():
			return Event{}, fmt.Errorf("%s: it did not come: %w", what, context.Cause(ctx))
		case <-changed:
		}
	}
}
