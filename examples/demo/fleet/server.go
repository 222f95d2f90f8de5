package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

const (
	// Ports below those that the kernel hands out: a client that dials a port of
	// that range while nobody listens may otherwise be connected to itself.
	firstPort, lastPort = 20000, 32000
	// portTries bounds the search for a free one.
	portTries = 100
	// dialPause is between looks whether a server listens.
	dialPause = 10 * time.Millisecond
)

// Server is a registry server that can be killed and started again on the same
// data and port.
type Server struct {
	*Process
	// Address is where it serves, host:port.
	Address string

	fleet *Fleet
	dir   string
	args  []string
}

// StartServer starts a registry server with its data in dir and waits until it
// serves.
func (f *Fleet) StartServer(ctx context.Context, dir string, args ...string) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{Address: address, fleet: f, dir: dir, args: args}
	return s, s.Restart(ctx)
}

// Restart starts the server again after its end, and waits until it serves.
func (s *Server) Restart(ctx context.Context) error {
	args := append([]string{"server", "--data-dir", s.dir, "--listen", s.Address}, s.args...)
	p, err := s.fleet.Start("server", "muster", args...)
	if err != nil {
		return err
	}
	s.Process = p
	return s.awaitListening(ctx)
}

func (s *Server) awaitListening(ctx context.Context) error {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", s.Address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("server does not listen on %s: %w\n%s", s.Address, context.Cause(ctx), s.Stderr())
		case <-s.Done():
			return s.ending()
		case <-time.After(dialPause):
		}
	}
}

// freeAddress finds a loopback port on which nobody listens.
func freeAddress() (string, error) {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		listener, err := net.Listen("tcp", address) //nolint:noctx // does not block
		if err == nil {
			return address, listener.Close()
		}
	}
	return "", errors.New("no free port between 20000 and 32000 on 127.0.0.1")
}
