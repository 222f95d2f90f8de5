package stage

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// serveWait bounds the start of a server.
	serveWait = 20 * time.Second
	// stopWait bounds its graceful end.
	stopWait = 15 * time.Second
	// dialPause is between looks whether it listens.
	dialPause = 5 * time.Millisecond
)

// Server is one registry server, which keeps its address and its data over
// restarts.
type Server struct {
	// Address where it serves.
	Address string

	command []string
	dir     string
	log     string
	process *Process
}

func newServer(programs Programs, dir, name string, flags []string) (*Server, error) {
	address, err := freeAddress()
	s := &Server{Address: address, dir: filepath.Join(dir, name), log: filepath.Join(dir, name+".log")}
	s.command = []string{programs.Registry, "--listen", address}
	if !programs.InMemory {
		s.command = append([]string{programs.Registry, "server", "--data-dir", s.dir, "--listen", address, "--log-level", "debug"}, flags...)
	}
	return s, err
}

// Start starts the server and waits until it serves.
func (s *Server) Start(ctx context.Context) error {
	if s.Running() {
		return fmt.Errorf("the server at %s runs already", s.Address)
	}
	process, err := run("server", s.log, s.command, func(*exec.Cmd) {})
	if err != nil {
		return err
	}
	s.process = process
	ctx, cancel := context.WithTimeout(ctx, serveWait)
	defer cancel()
	return awaitListening(ctx, s.Address, process, s.log)
}

func awaitListening(ctx context.Context, address string, process *Process, log string) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody listens on %s: %w\n%s", address, context.Cause(ctx), tail(log))
		case <-process.Done():
			return fmt.Errorf("the server ended: %w\n%s", process.ending(), tail(log))
		case <-time.After(dialPause):
		}
	}
}

// Running tells whether its process lives.
func (s *Server) Running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.process.Done():
		return false
	default:
		return true
	}
}

// Kill ends it as a machine that loses power.
func (s *Server) Kill() {
	if s.process != nil {
		s.process.Kill()
	}
}

// Stop ends it gracefully.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	return s.process.Stop(stopWait)
}

// Pause stops its process without ending it.
func (s *Server) Pause() error { return s.process.Signal(syscall.SIGSTOP) }

// Continue ends Pause.
func (s *Server) Continue() error { return s.process.Signal(syscall.SIGCONT) }

// SaveHistory keeps a copy of the data of a server that does not run.
func (s *Server) SaveHistory() error {
	if err := os.RemoveAll(s.dir + ".saved"); err != nil {
		return err
	}
	return os.CopyFS(s.dir+".saved", os.DirFS(s.dir))
}

// RestoreHistory puts the copy back, as an operator who restores a backup.
func (s *Server) RestoreHistory() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return err
	}
	return os.CopyFS(s.dir, os.DirFS(s.dir+".saved"))
}

// LoseHistory deletes the data of a server that does not run.
func (s *Server) LoseHistory() error { return os.RemoveAll(s.dir) }
