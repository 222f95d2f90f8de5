package netfault

import (
	"net"
	"time"
)

// pass hands one piece on, as the faults of the moment have it. It tells
// whether the connection goes on.
func (c *connection) pass(to net.Conn, p piece, direction Direction) bool {
	for {
		f, changed := c.proxy.now()
		switch {
		case f.dropped[direction]:
			return true
		case f.blackholed[direction]:
			if !c.await(changed, nil) {
				return false
			}
			continue
		case time.Until(p.read.Add(f.delay)) > 0:
			timer := time.NewTimer(time.Until(p.read.Add(f.delay)))
			alive := c.await(changed, timer.C)
			timer.Stop()
			if !alive {
				return false
			}
			continue
		}
		return c.write(to, p.bytes, direction, f)
	}
}

// write hands bytes on at the rate that is allowed, and cuts the connection
// where it is to be cut.
func (c *connection) write(to net.Conn, bytes []byte, direction Direction, f faults) bool {
	for len(bytes) > 0 {
		part := bytes
		if f.rate[direction] > 0 {
			most := max(1, f.rate[direction]/int(time.Second/tick))
			part = bytes[:min(len(bytes), most)]
		}
		cut := false
		if direction == Down {
			part, cut = c.proxy.allow(part)
		}
		if _, err := to.Write(part); err != nil && !c.swallows(direction) {
			return false
		}
		if cut {
			if tcp, is := to.(*net.TCPConn); is {
				_ = tcp.CloseWrite() // what was written still arrives
			}
			return false
		}
		bytes = bytes[len(part):]
		if f.rate[direction] > 0 {
			timer := time.NewTimer(tick)
			alive := c.await(nil, timer.C)
			timer.Stop()
			if !alive {
				return false
			}
			f, _ = c.proxy.now()
		}
	}
	return true
}

// swallows tells whether what cannot be written is lost without a word: what
// the client sends on a half-open connection.
func (c *connection) swallows(direction Direction) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.half && direction == Up
}

// allow takes bytes from what may still pass before connections are cut.
func (p *Proxy) allow(bytes []byte) (part []byte, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults.left < 0 || len(bytes) < p.faults.left {
		if p.faults.left > 0 {
			p.faults.left -= len(bytes)
		}
		return bytes, false
	}
	part = bytes[:p.faults.left]
	p.faults.left = -1 // once; the next connection is well
	return part, true
}

// await waits for either channel; it tells whether the connection lives.
func (c *connection) await(changed <-chan struct{}, timer <-chan time.Time) bool {
	select {
	case <-changed:
	case <-timer:
	case <-c.dead:
		return false
	}
	return true
}
