package netfault

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// chunk is how much is read at once.
	chunk = 32 << 10
	// dialTimeout bounds the way to the registry.
	dialTimeout = 5 * time.Second
	// tick is how often a slowed direction may send.
	tick = 20 * time.Millisecond
)

// connection is one client's, and its other half to the registry.
type connection struct {
	proxy  *Proxy
	client net.Conn
	dead   chan struct{}

	mu     sync.Mutex
	server net.Conn
	half   bool
	ended  bool
}

func (c *connection) run() {
	defer c.proxy.forget(c)
	defer c.reset()
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(context.Background(), "tcp", c.proxy.target)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.server = server
	ended := c.ended
	c.mu.Unlock()
	if ended {
		_ = server.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { c.copy(server, c.client, Up) })
	both.Go(func() { c.copy(c.client, server, Down) })
	both.Wait()
}

func (p *Proxy) forget(c *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// piece is what was read at once, and when.
type piece struct {
	bytes []byte
	read  time.Time
}

// copy passes on one direction until one side ends, in two tasks, so that a
// delay holds back each piece and not each read.
func (c *connection) copy(to, from net.Conn, direction Direction) {
	pieces := make(chan piece, 256)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(pieces)
		for {
			buffer := make([]byte, chunk)
			n, err := from.Read(buffer)
			if n > 0 {
				select {
				case pieces <- piece{buffer[:n], time.Now()}:
				case <-c.dead:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range pieces {
		if !c.pass(to, p, direction) {
			break
		}
	}
	c.end(direction)
	reader.Wait()
}

// end is called when a direction is over: the other side is told, unless the
// connection is half open and the client must not know.
func (c *connection) end(direction Direction) {
	f, _ := c.proxy.now()
	if f.blackholed[direction] || f.dropped[direction] {
		c.hold(direction)
	}
	c.mu.Lock()
	half := c.half
	c.mu.Unlock()
	if half && direction == Down {
		<-c.dead
		return
	}
	c.reset()
}

// hold waits while a direction is blackholed or dropped: an end does not pass either.
func (c *connection) hold(direction Direction) {
	for {
		f, changed := c.proxy.now()
		if !f.blackholed[direction] && !f.dropped[direction] {
			return
		}
		select {
		case <-changed:
		case <-c.dead:
			return
		}
	}
}

// reset ends both sides at once: with RST, as far as the system allows.
func (c *connection) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	close(c.dead)
	for _, conn := range []net.Conn{c.client, c.server} {
		if tcp, is := conn.(*net.TCPConn); is {
			_ = tcp.SetLinger(0)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// halfOpen ends the registry's side alone.
func (c *connection) halfOpen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil || c.half {
		return
	}
	c.half = true
	_ = c.server.Close()
}
