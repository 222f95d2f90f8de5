// Package proc runs the servers under test as child processes, and reads from
// outside what they cost: CPU time and memory as the kernel counts them.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// stopTimeout is how long a process may take to stop before it is killed.
const stopTimeout = 15 * time.Second

// Command is what to run.
type Command struct {
	// Path is the program; Args are its arguments, without its name.
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
}

// Process is one running child. Its methods may be called concurrently.
type Process struct {
	cmd     *exec.Cmd
	started time.Time
	output  *tail
	exited  chan struct{}
	err     error
	ending  sync.Once
	// ended tells that Stop or Kill was called.
	ended atomic.Bool
}

// Start starts a child in a process group of its own, so that ^C reaches only
// this process, which then ends its children. The kernel kills the child if
// this process dies first. The caller must end it with Stop or Kill.
func Start(c Command) (*Process, error) {
	p := &Process{output: newTail(), exited: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...) //nolint:noctx // the caller decides the order in which things end
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Started is the moment just before the child was executed.
func (p *Process) Started() time.Time { return p.started }

// Exited is closed once the child has ended and was waited for.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err says why a child ended that nobody ended, with the last of its output;
// nil while it runs, and after Stop or Kill.
func (p *Process) Err() error {
	if p.ended.Load() {
		return nil
	}
	select {
	case <-p.exited:
		why := "exit status 0"
		if p.err != nil {
			why = p.err.Error()
		}
		return fmt.Errorf("%s (pid %d) ended by itself: %s; it said: %s", p.cmd.Path, p.PID(), why, p.output)
	default:
		return nil
	}
}

// Stop asks the child to end, waits, and kills it if it takes too long.
func (p *Process) Stop() error {
	var err error
	p.ended.Store(true)
	p.ending.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(stopTimeout):
			err = fmt.Errorf("%s (pid %d) did not stop within %v and was killed; it said: %s", p.cmd.Path, p.PID(), stopTimeout, p.output)
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
	})
	<-p.exited
	return err
}

// Kill ends the child with SIGKILL, as a crash would, and waits for it.
func (p *Process) Kill() error {
	p.ended.Store(true)
	err := p.cmd.Process.Kill()
	<-p.exited
	p.ending.Do(func() {})
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// tail keeps the last output of a process.
type tail struct {
	mu   sync.Mutex
	data []byte
	// grown holds a token when something was written since it was taken.
	grown chan struct{}
}

func newTail() *tail { return &tail{grown: make(chan struct{}, 1)} }

const tailBytes = 4096

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, b...)
	if extra := len(t.data) - tailBytes; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	select {
	case t.grown <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.data))
}
