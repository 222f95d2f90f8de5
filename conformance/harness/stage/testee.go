package stage

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/muster-registry/muster/conformance/harness/trace"
)

const (
	// maxLine bounds one line of a testee.
	maxLine = 4 << 20
	// maxEvents bounds what one channel may keep unread.
	maxEvents = 10_000
	// endWait bounds the end of a testee whose standard input was closed.
	endWait = 8 * time.Second
)

// Testee is the program that uses a client library as told by commands. It is
// safe for concurrent use.
type Testee struct {
	process *Process
	stdin   io.WriteCloser
	log     string

	mu       sync.Mutex
	next     uint64
	changed  chan struct{} // closed with the next line or the end
	answers  map[uint64]trace.Event
	channels map[string]*channel
	ended    error
}

// channel keeps the events of one channel.
type channel struct {
	queue []trace.Event
	state *trace.State
}

// Command is what is sent: positional arguments and options, all text.
type Command struct {
	ID     uint64            `json:"id"`
	Do     string            `json:"do"`
	Client string            `json:"client,omitempty"`
	Args   []string          `json:"args,omitempty"`
	With   map[string]string `json:"with,omitempty"`
}

// StartTestee starts a testee in a folder, with more environment.
func StartTestee(argv []string, dir, log string, environment []string) (*Testee, error) {
	t := &Testee{
		log: log, changed: make(chan struct{}), answers: map[uint64]trace.Event{}, channels: map[string]*channel{},
	}
	// Not StdoutPipe, whose end is lost when the process ends before it was read.
	stdout, write := io.Pipe()
	process, err := run("testee", log, argv, func(c *exec.Cmd) {
		c.Dir, c.Env = dir, append(os.Environ(), environment...)
		t.stdin, _ = c.StdinPipe()
		c.Stdout = write
	})
	if err != nil {
		return nil, err
	}
	t.process = process
	go t.read(stdout)
	go func() {
		<-process.Done()
		_ = write.Close()
	}()
	return t, nil
}

// read takes in all that the testee says.
func (t *Testee) read(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, maxLine)
	var err error
	for lines.Scan() && err == nil {
		err = t.take(lines.Bytes())
	}
	if err = errors.Join(err, lines.Err()); err == nil {
		err = errors.New("the testee has ended")
	}
	t.mu.Lock()
	t.ended = err
	t.wake()
	t.mu.Unlock()
	_, _ = io.Copy(io.Discard, stdout) // what follows a wrong line must not block the testee
}

// wake is called with the lock held.
func (t *Testee) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *Testee) take(text []byte) error {
	id, e, err := trace.Parse(text)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.wake()
	if e.Channel == "" {
		if _, twice := t.answers[id]; twice || id == 0 || id > t.next {
			return fmt.Errorf("an answer to command %d, which was answered before or never sent", id)
		}
		t.answers[id] = e
		return nil
	}
	c := t.channels[e.Channel]
	if c == nil {
		c = &channel{state: trace.NewState()}
		t.channels[e.Channel] = c
	}
	if len(c.queue) >= maxEvents {
		return fmt.Errorf("channel %s told more than %d events that nobody looked at", e.Channel, maxEvents)
	}
	c.queue = append(c.queue, e)
	return nil
}

// Send sends a command and returns the id of its answer.
func (t *Testee) Send(c Command) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	c.ID = t.next
	text, err := json.Marshal(c)
	if err == nil {
		_, err = t.stdin.Write(append(text, '\n'))
	}
	if err != nil {
		err = fmt.Errorf("command to the testee: %w; %w", err, t.ended)
	}
	return c.ID, err
}

// Answer is the answer to a command, if it is there; otherwise a channel that
// is closed when something changed. The error is the end of the testee.
func (t *Testee) Answer(id uint64) (e trace.Event, found bool, changed <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, found = t.answers[id]; found {
		return e, true, nil, nil
	}
	return e, false, t.changed, t.ended
}

// Next is the next event of a channel, which takes it, or nil and when to look
// again. State is the channel's state with it.
func (t *Testee) Next(name string, skip func(trace.Event) bool) (e *trace.Event, state *trace.State, changed <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.channels[name]
	if c == nil {
		c = &channel{state: trace.NewState()}
		t.channels[name] = c
	}
	for len(c.queue) > 0 {
		first := c.queue[0]
		c.queue = c.queue[1:]
		repeats := c.state.Repeats(first)
		if err = c.state.Add(first); err != nil {
			return nil, c.state, nil, fmt.Errorf("channel %s contradicts itself: %w", name, err)
		}
		if repeats || skip(first) {
			continue
		}
		return &first, c.state, nil, nil
	}
	return nil, c.state, t.changed, t.ended
}

// Left are the events that nobody looked at, by channel.
func (t *Testee) Left() map[string][]trace.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := map[string][]trace.Event{}
	for name, c := range t.channels {
		left[name] = c.queue
	}
	return left
}

// Stop stops its process without ending it.
func (t *Testee) Stop() error { return t.process.Signal(syscall.SIGSTOP) }

// Continue ends Stop.
func (t *Testee) Continue() error { return t.process.Signal(syscall.SIGCONT) }

// Kill ends it at once.
func (t *Testee) Kill() { t.process.Kill() }

// End closes its standard input, which asks it to close its clients and end
// with status 0.
func (t *Testee) End() error {
	_ = t.stdin.Close()
	select {
	case <-t.process.Done():
	case <-time.After(endWait):
		t.process.Kill()
		return fmt.Errorf("the testee did not end within %s of the end of its standard input", endWait)
	}
	if t.process.err != nil {
		return fmt.Errorf("the testee ended badly: %w", t.process.err)
	}
	return nil
}

// Log is the end of what it wrote to standard error.
func (t *Testee) Log() string { return tail(t.log) }
