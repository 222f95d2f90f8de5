// Command testee-go uses the Go client as the conformance harness tells it by
// commands on standard input, and prints what its user would see: one JSON
// object a line. conformance/README.md lists the commands; the Rust testee
// does the same with the Rust client.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
)

// maxLine bounds one command.
const maxLine = 1 << 20

func main() {
	t := newTestee(os.Stdout)
	if err := t.run(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command is one line of standard input.
type command struct {
	ID     uint64            `json:"id"`
	Do     string            `json:"do"`
	Client string            `json:"client"`
	Args   []string          `json:"args"`
	With   map[string]string `json:"with"`
}

// name is the argument that names what the command is about, such as s1.
func (c command) name() string {
	if len(c.Args) == 0 {
		return ""
	}
	return c.Args[0]
}

// answer is what a command is answered with.
type answer map[string]any

// testee holds everything that commands made, by name.
type testee struct {
	log   *slog.Logger
	tasks sync.WaitGroup // commands and watchers

	outMu sync.Mutex
	out   *json.Encoder

	mu            sync.Mutex
	clients       map[string]*client
	registrations map[string]*registration
	subscriptions map[string]*subscription
	channels      map[string]*channel
	pending       map[string]context.CancelFunc
}

func newTestee(out io.Writer) *testee {
	t := &testee{
		log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})), out: json.NewEncoder(out),
		clients: map[string]*client{}, registrations: map[string]*registration{}, subscriptions: map[string]*subscription{},
		channels: map[string]*channel{}, pending: map[string]context.CancelFunc{},
	}
	t.out.SetEscapeHTML(false)
	return t
}

// run carries out commands, each in a goroutine of its own, until there are no
// more; then it closes what was made.
func (t *testee) run(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return fmt.Errorf("a command: %w: %s", err, lines.Bytes())
		}
		ctx, cancel := context.WithCancel(context.Background())
		if c.Do != "cancel" {
			t.mu.Lock()
			t.pending[c.name()] = cancel
			t.mu.Unlock()
		}
		t.tasks.Go(func() {
			defer cancel()
			ok, err := t.do(ctx, c)
			t.answer(c.ID, ok, err)
		})
	}
	t.closeAll()
	t.tasks.Wait()
	return lines.Err()
}

// do carries out one command.
func (t *testee) do(ctx context.Context, c command) (answer, error) {
	if do, found := t.commands()[c.Do]; found {
		return do(ctx, c)
	}
	return nil, fmt.Errorf("unknown command %q", c.Do)
}

type doer func(context.Context, command) (answer, error)

func (t *testee) commands() map[string]doer {
	return map[string]doer{
		"client": t.newClient, "ready": t.ready, "status": t.status, "stats": t.stats, "close": t.closeClient,
		"register": t.register, "registration": t.registrationNow, "set": t.set, "flush": t.flush, "drain": t.drain,
		"deregister": t.deregister, "cancel": t.cancel, "serve": t.serve, "stop": t.stop,
		"lookup": t.lookup, "subscribe": t.subscribe, "unsubscribe": t.unsubscribe, "view": t.view, "wait": t.wait,
		"picker": t.addPicker, "applied": t.applied, "unpick": t.closePicker,
		"channel": t.openChannel, "call": t.call, "load": t.load, "loaded": t.loaded, "hangup": t.hangup,
		"explain": t.explain,
	}
}

// cancel ends the wait of the command that is under way for a name, as a caller
// whose context ends: cancel NAME.
func (t *testee) cancel(_ context.Context, c command) (answer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[c.name()] == nil {
		return nil, missing(c, "command")
	}
	t.pending[c.name()]()
	return nil, nil
}

// closeAll ends what is still open, as a program does at its end.
func (t *testee) closeAll() {
	t.mu.Lock()
	clients, channels, registrations := t.clients, t.channels, t.registrations
	t.clients, t.channels, t.registrations = nil, nil, nil
	t.mu.Unlock()
	for _, r := range registrations {
		if r.stop != nil {
			r.stop()
		}
	}
	for _, g := range channels {
		g.close()
	}
	for _, c := range clients {
		_ = c.Close()
	}
}
