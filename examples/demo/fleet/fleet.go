package fleet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Language is that of an example program and of the client in it.
type Language string

// The languages that there is a client for.
const (
	Go   Language = "go"
	Rust Language = "rust"
)

// Languages are all of them.
func Languages() []Language { return []Language{Go, Rust} }

// Other is the other language.
func (l Language) Other() Language {
	if l == Go {
		return Rust
	}
	return Go
}

// Fleet is a set of processes that ends together. It is safe for concurrent
// use.
type Fleet struct {
	// Context ends when a process ends unasked, with that as its cause, and when
	// the parent context ends.
	Context context.Context //nolint:containedctx // the fleet's own lifetime
	// Notice is called with each event of each process, in its order; set it
	// before the first process starts. It may be nil and must not block.
	Notice func(process string, e Event)

	bin    string
	cancel context.CancelCauseFunc

	mu        sync.Mutex
	processes []*Process
}

// New makes a fleet of the programs in the folder bin. The error names the
// first program that is missing.
func New(ctx context.Context, bin string) (*Fleet, error) {
	for _, name := range []string{"muster", "greeter-go", "caller-go", "greeter-rust", "caller-rust"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return nil, fmt.Errorf("program %s is missing: run \"make build\" first: %w", name, err)
		}
	}
	f := &Fleet{bin: bin}
	f.Context, f.cancel = context.WithCancelCause(ctx)
	return f, nil
}

// Start runs a program of the folder under a name of its own. It is to run until
// it is asked to end.
func (f *Fleet) Start(name, program string, args ...string) (*Process, error) {
	return f.start(name, program, args, f.cancel)
}

// StartShort runs a program that may end by itself.
func (f *Fleet) StartShort(name, program string, args ...string) (*Process, error) {
	return f.start(name, program, args, nil)
}

func (f *Fleet) start(name, program string, args []string, died func(error)) (*Process, error) {
	notice := func(e Event) {
		if f.Notice != nil {
			f.Notice(name, e)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := context.Cause(f.Context); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p, err := start(name, filepath.Join(f.bin, program), args, notice, died)
	if err != nil {
		return nil, err
	}
	f.processes = append(f.processes, p)
	return p, nil
}

// Report is what each process wrote to its standard error last, for whoever has
// to find out what went wrong.
func (f *Fleet) Report() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var report strings.Builder
	for _, p := range f.processes {
		fmt.Fprintf(&report, "%s (%d events):\n%s\n", p.Name, p.Journal.Mark(), p.Stderr())
	}
	return report.String()
}

// Close kills every process, all at once, and returns when all are gone. It is
// idempotent.
func (f *Fleet) Close() {
	f.cancel(context.Canceled)
	f.mu.Lock()
	processes := f.processes
	f.processes = nil
	f.mu.Unlock()
	for _, p := range processes {
		// An error means that it is gone already.
		_ = p.Signal(syscall.SIGKILL)
	}
	for _, p := range processes {
		<-p.done
	}
}
