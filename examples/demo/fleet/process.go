package fleet

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// outputGrace is how long output is still read after a process has ended, in
// case it left a child that holds its pipes.
const outputGrace = 2 * time.Second

// Process is one child process, in a process group of its own, so that a
// Ctrl-C in the terminal reaches it only through its fleet.
type Process struct {
	// Name is how it is called in messages, such as "greeter-go-1".
	Name string
	// Journal is its standard output.
	Journal *Journal

	cmd    *exec.Cmd
	stderr tail
	done   chan struct{}

	mu    sync.Mutex
	asked bool  // its end was asked for
	err   error // how it ended; read after done
}

// start runs a program. died is called if it ends unasked, once; nil means that
// it may.
func start(name, program string, args []string, notice func(Event), died func(error)) (*Process, error) {
	p := &Process{Name: name, Journal: newJournal(notice), done: make(chan struct{}), asked: died == nil}
	p.cmd = exec.Command(program, args...) //nolint:noctx // its end is the fleet's business
	p.cmd.Stdout, p.cmd.Stderr = p.Journal, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = outputGrace
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		err := p.cmd.Wait()
		p.mu.Lock()
		p.err = err
		asked := p.asked
		p.mu.Unlock()
		p.Journal.end()
		close(p.done)
		if !asked {
			died(p.ending())
		}
	}()
	return p, nil
}

// Signal sends a signal. SIGTERM, SIGINT and SIGKILL ask for its end.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL:
		p.asked = true
	default:
	}
	// Until done is closed the process is not reaped, so its id is still its own;
	// afterwards ESRCH or "finished" says that there is nothing left to signal.
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%s to %s: %w", s, p.Name, err)
	}
	return nil
}

// ExpectEnd says that the process may end by itself from now on.
func (p *Process) ExpectEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = true
}

// Done is closed when the process has ended and its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for its end and returns its exit code; -1 if a signal ended it.
// The error is ctx's.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("end of %s: it did not come: %w\n%s", p.Name, context.Cause(ctx), p.stderr.text())
	}
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	// An error means that it is gone already.
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stderr is the last lines that it wrote to its standard error.
func (p *Process) Stderr() string { return p.stderr.text() }

// Said waits for a line of its standard error that holds a text, and returns it
// from that text on, without what a log puts around a message.
func (p *Process) Said(ctx context.Context, text string) (string, error) {
	for {
		next := p.stderr.next()
		if line := p.stderr.find(text); line != "" {
			return line, nil
		}
		select {
		case <-next:
		case <-p.done:
			if line := p.stderr.find(text); line != "" {
				return line, nil
			}
			return "", fmt.Errorf("%s never said %q; the end of its standard error:\n%s", p.Name, text, p.stderr.text())
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not say %q: %w; the end of its standard error:\n%s",
				p.Name, text, context.Cause(ctx), p.stderr.text())
		}
	}
}

// First waits for the first event from a mark on that matches.
func (p *Process) First(ctx context.Context, mark int, what string, match func(Event) bool) (Event, error) {
	e, err := p.Journal.first(ctx, mark, what, match)
	if err != nil {
		return Event{}, fmt.Errorf("%s: %w; the end of its standard error:\n%s", p.Name, err, p.stderr.text())
	}
	return e, nil
}

// ending describes how the process ended.
func (p *Process) ending() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return errors.New(p.Name + " ended unexpectedly (" + how + "); the end of its standard error:\n" + p.stderr.text())
}
