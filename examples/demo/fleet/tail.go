package fleet

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
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
	changed chan struct{} // closed with the next line; nil if nobody waits
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
		if t.changed != nil {
			close(t.changed)
			t.changed = nil
		}
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

// find returns the last message that holds a text, from that text on; empty if
// there is none.
func (t *tail) find(text string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, line := range slices.Backward(t.lines) {
		if i := strings.Index(message(line), text); i >= 0 {
			return message(line)[i:]
		}
	}
	return ""
}

// logMessage is what Go's slog writes around a message that has spaces.
var logMessage = regexp.MustCompile(`^time=\S+ level=\S+ msg=("(?:[^"\\]|\\.)*")`)

// message is the line itself, or if it is a log's, its message: slog puts that
// into quotes, Rust's tracing before the attribute that all messages have.
func message(line string) string {
	if found := logMessage.FindStringSubmatch(line); found != nil {
		if text, err := strconv.Unquote(found[1]); err == nil {
			return text
		}
	}
	line, _, _ = strings.Cut(line, " registration=")
	return line
}

// next is closed when another line is there.
func (t *tail) next() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}
