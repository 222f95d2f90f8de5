package fleet

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

const (
	// keptLines is how many last lines of standard error are kept.
	keptLines = 500
	// tailLines is how many of them are shown where something went wrong.
	tailLines = 12
)

// tail keeps the last lines of what is written to it. It is safe for
// concurrent use.
type tail struct {
	mu      sync.Mutex
	partial []byte
	lines   []string
}

// Write implements io.Writer.
func (t *tail) Write(piece []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partial = append(t.partial, piece...)
	for {
		line, rest, found := bytes.Cut(t.partial, []byte("\n"))
		if !found && len(t.partial) < maxLine {
			return len(piece), nil
		}
		t.partial = rest
		t.lines = append(t.lines, string(line))
		if len(t.lines) > keptLines {
			t.lines = slices.Delete(t.lines, 0, 1)
		}
	}
}

// text is the last lines, indented.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	if len(t.partial) > 0 {
		lines = append(slices.Clone(lines), string(t.partial))
	}
	lines = lines[max(0, len(lines)-tailLines):]
	if len(lines) == 0 {
		return "    (nothing on its standard error)"
	}
	return "    " + strings.Join(lines, "\n    ")
}

// find returns what follows in the last line that holds a text, from that text
// on; empty if there is none.
func (t *tail) find(text string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range slices.Backward(t.lines) {
		if i := strings.Index(line, text); i >= 0 {
			return line[i:]
		}
	}
	return ""
}
