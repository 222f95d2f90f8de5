// Package netfault is a TCP proxy that breaks connections in the ways networks
// do. It knows nothing of what passes.
package netfault

import (
	"net"
	"sync"
	"time"

	"github.com/muster-registry/muster/conformance/harness/listen"
)

// Proxy listens on one address and connects what it accepts with another. It
// is safe for concurrent use.
type Proxy struct {
	address, target string

	mu       sync.Mutex
	faults   faults
	changed  chan struct{} // closed when faults change
	listener net.Listener  // nil while refusing
	open     map[*connection]struct{}
	accepted int
	closed   bool
	tasks    sync.WaitGroup
}

// faults are what happens to bytes now.
type faults struct {
	delay      time.Duration
	blackholed [2]bool
	dropped    [2]bool
	rate       [2]int // bytes per second; 0 is unlimited
	left       int    // bytes down until connections are cut; -1 is never
}

// Direction is which way bytes go.
type Direction int

// The directions: up is to the registry, down to the client.
const (
	Up Direction = iota
	Down
)

// Start begins to listen on a loopback address and to pass on to target.
func Start(address, target string) (*Proxy, error) {
	p := &Proxy{address: address, target: target, open: map[*connection]struct{}{}, changed: make(chan struct{})}
	p.faults.left = -1
	return p, p.Accept()
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.address }

// Accept ends Refuse.
func (p *Proxy) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil || p.closed {
		return nil
	}
	listener, err := listen.On(p.address)
	if err != nil {
		return err
	}
	p.listener = listener
	p.tasks.Go(func() { p.accept(listener) })
	return nil
}

// Refuse stops listening: new connections are refused, old ones live on.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		c := &connection{proxy: p, client: client, dead: make(chan struct{})}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			_ = client.Close()
			return
		}
		p.open[c] = struct{}{}
		p.accepted++
		p.tasks.Go(c.run)
		p.mu.Unlock()
	}
}

// set changes the faults.
func (p *Proxy) set(change func(f *faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.faults)
	close(p.changed)
	p.changed = make(chan struct{})
}

// now is what happens to bytes now, and a channel that is closed when that
// changes.
func (p *Proxy) now() (faults, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults, p.changed
}

// Accepted is how many connections were accepted since the start.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// connections are those that are open.
func (p *Proxy) connections() []*connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*connection, 0, len(p.open))
	for c := range p.open {
		list = append(list, c)
	}
	return list
}

// Close ends everything and waits for it.
func (p *Proxy) Close() {
	p.Refuse()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Reset()
	p.tasks.Wait()
}
