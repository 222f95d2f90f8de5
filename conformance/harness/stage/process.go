// Package stage holds what a scenario runs on: the processes of the registry
// and of the testee, proxies between them, backends, and a folder.
package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a child in a process group of its own. It is safe for concurrent
// use.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}

	err error // how it ended; read after done
}

// outputGrace is how long output is still read after the process has ended.
const outputGrace = 2 * time.Second

// run starts a program whose standard error goes to a file that it appends to.
// prepare may set more of the command.
func run(name, logPath string, argv []string, prepare func(*exec.Cmd)) (*Process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	p := &Process{name: name, log: log, done: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // its end is the stage's business
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = outputGrace
	prepare(p.cmd)
	if err = p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = log.Close()
		close(p.done)
	}()
	return p, nil
}

// Signal sends a signal; a process that has ended gets none.
func (p *Process) Signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended: %w", p.name, p.ending())
	default:
		return p.cmd.Process.Signal(s)
	}
}

// Kill ends the process at once and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the process to end and waits; after the time it is killed.
func (p *Process) Stop(within time.Duration) error {
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(within):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s", p.name, within)
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

func (p *Process) ending() error {
	if p.err != nil {
		return p.err
	}
	return errors.New("exit status 0")
}

// tail is the end of a log file, indented.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		return ""
	}
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	const most = 15
	lines = lines[max(0, len(lines)-most):]
	return "    " + string(bytes.Join(lines, []byte("\n    "))) + "\n"
}
