package stage

import (
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"sync"
)

// terminator speaks TLS with clients and passes the rest on in plaintext. It
// reads its certificate anew for each connection.
type terminator struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	tasks sync.WaitGroup
}

func startTerminator(dir, target string) (*terminator, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // does not block
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(filepath.Join(dir, serverCert), filepath.Join(dir, serverKey))
			return &c, err
		},
	}
	t := &terminator{listener: tls.NewListener(listener, config), target: target, open: map[net.Conn]struct{}{}}
	t.tasks.Go(t.accept)
	return t, nil
}

func (t *terminator) address() string { return t.listener.Addr().String() }

func (t *terminator) accept() {
	for {
		client, err := t.listener.Accept()
		if err != nil {
			return
		}
		t.tasks.Go(func() { t.pass(client) })
	}
}

// keep remembers a connection until close; it tells whether there still is a
// terminator.
func (t *terminator) keep(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		_ = conn.Close()
		return false
	}
	t.open[conn] = struct{}{}
	return true
}

func (t *terminator) forget(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, conn)
	_ = conn.Close()
}

func (t *terminator) pass(client net.Conn) {
	server, err := net.Dial("tcp", t.target) //nolint:noctx // a loopback address answers at once
	if err != nil || !t.keep(server) {
		_ = client.Close()
		return
	}
	defer t.forget(server)
	if !t.keep(client) {
		return
	}
	defer t.forget(client)
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_, _ = pair[0].Close(), pair[1].Close()
		})
	}
	both.Wait()
}

func (t *terminator) close() {
	_ = t.listener.Close()
	t.mu.Lock()
	open := t.open
	t.open = nil
	for conn := range open {
		_ = conn.Close()
	}
	t.mu.Unlock()
	t.tasks.Wait()
}
