package mustertest

import (
	"context"
	"net"
	"sync"
	"syscall"

	"google.golang.org/grpc/test/bufconn"
)

// network is what connects clients with the registry, in memory or over
// listeners: it can be cut.
type network struct {
	memory *bufconn.Listener

	mu    sync.Mutex
	cut   bool
	conns map[*trackedConn]struct{}
}

func newNetwork() *network {
	return &network{memory: bufconn.Listen(256 << 10), conns: map[*trackedConn]struct{}{}}
}

// trackedConn is a connection that the network can break.
type trackedConn struct {
	net.Conn
	network *network
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.network.mu.Lock()
	delete(c.network.conns, c)
	c.network.mu.Unlock()
	return c.Conn.Close()
}

// admit takes in a connection that was accepted; nil if it was refused.
func (n *network) admit(conn net.Conn) *trackedConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		conn.Close()
		return nil
	}
	c := &trackedConn{conn, n}
	n.conns[c] = struct{}{}
	return c
}

// setCut breaks all connections, and refuses new ones or not.
func (n *network) setCut(cut bool) {
	n.mu.Lock()
	n.cut = cut
	n.mu.Unlock()
	n.breakAll()
}

// breakAll breaks all connections.
func (n *network) breakAll() {
	n.mu.Lock()
	broken := n.conns
	n.conns = map[*trackedConn]struct{}{}
	n.mu.Unlock()
	for c := range broken {
		c.Conn.Close()
	}
}

// dial connects in memory.
func (n *network) dial(ctx context.Context) (net.Conn, error) {
	n.mu.Lock()
	cut := n.cut
	n.mu.Unlock()
	if cut {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: syscall.ECONNREFUSED}
	}
	return n.memory.DialContext(ctx)
}

// gate is a listener of the network.
type gate struct {
	net.Listener
	network *network
}

// Accept implements net.Listener.
func (g gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := g.network.admit(conn); c != nil {
			return c, nil
		}
	}
}
