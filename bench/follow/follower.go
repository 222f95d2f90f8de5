package follow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// readyWithin is how long a follower may take to its first view.
const readyWithin = 10 * time.Second

// Follower is a running client.
type Follower struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	stderr bytes.Buffer
	// read is closed when its output has ended; then seen and failed are set.
	read   chan struct{}
	seen   []Arrival
	failed error
}

// Start starts a client, given as program and arguments, and returns when it
// has its first view. Stop or Kill must follow.
func Start(ctx context.Context, command []string) (*Follower, error) {
	f := &Follower{read: make(chan struct{})}
	f.cmd = exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...) //nolint:gosec // our own programs
	f.cmd.Stderr = &f.stderr
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	input, err := f.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	f.input = input
	output, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	ready := make(chan struct{})
	go f.follow(output, ready)
	select {
	case <-ready:
		return f, nil
	case <-f.read:
	case <-time.After(readyWithin):
	case <-ctx.Done():
	}
	f.Kill()
	return nil, fmt.Errorf("%s had no view within %v: %s", command[0], readyWithin, bytes.TrimSpace(f.stderr.Bytes()))
}

// follow reads everything that the client prints, to its end.
func (f *Follower) follow(output io.Reader, ready chan<- struct{}) {
	defer close(f.read)
	f.failed = scan(output, func(a Arrival) {
		if a.Ready {
			close(ready)
			return
		}
		f.seen = append(f.seen, a)
	})
}

// Stop ends the client and returns what it saw, in order.
func (f *Follower) Stop() ([]Arrival, error) {
	err := f.input.Close()
	select {
	case <-f.read:
	case <-time.After(readyWithin):
		err = errors.Join(err, fmt.Errorf("it did not end within %v", readyWithin), f.cmd.Process.Kill())
		<-f.read
	}
	if waited := f.cmd.Wait(); waited != nil {
		err = errors.Join(err, fmt.Errorf("it ended with %w: %s", waited, bytes.TrimSpace(f.stderr.Bytes())))
	}
	f.cmd = nil
	return f.seen, errors.Join(err, f.failed)
}

// Kill ends a client that Stop did not end.
func (f *Follower) Kill() {
	if f == nil || f.cmd == nil {
		return
	}
	_ = f.cmd.Process.Kill()
	<-f.read
	_ = f.cmd.Wait() // it was killed
	f.cmd = nil
}
