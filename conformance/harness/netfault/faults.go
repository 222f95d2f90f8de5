package netfault

import "time"

// Clear ends all faults but half-open connections, which are gone for good.
func (p *Proxy) Clear() error {
	p.set(func(f *faults) { *f = faults{left: -1} })
	return p.Accept()
}

// Delay holds back everything for a time, both ways; order and bytes stay.
func (p *Proxy) Delay(delay time.Duration) { p.set(func(f *faults) { f.delay = delay }) }

// Blackhole stops everything in these directions, as a network that is cut:
// nothing passes and nobody is told. Bytes pass when it ends.
func (p *Proxy) Blackhole(directions ...Direction) {
	p.set(func(f *faults) {
		for _, d := range directions {
			f.blackholed[d] = true
		}
	})
}

// Drop loses all bytes of a direction for good.
func (p *Proxy) Drop(direction Direction) { p.set(func(f *faults) { f.dropped[direction] = true }) }

// Slow lets so many bytes per second down to the client.
func (p *Proxy) Slow(bytesPerSecond int) { p.set(func(f *faults) { f.rate[Down] = bytesPerSecond }) }

// Truncate ends the connections after so many more bytes down, in the middle
// of whatever that is.
func (p *Proxy) Truncate(bytes int) { p.set(func(f *faults) { f.left = bytes }) }

// Reset ends all connections at once, as a peer that was killed.
func (p *Proxy) Reset() {
	for _, c := range p.connections() {
		c.reset()
	}
}

// HalfOpen ends the registry's side of all connections and keeps the client's
// side, which never hears of it. New connections are well.
func (p *Proxy) HalfOpen() {
	for _, c := range p.connections() {
		c.halfOpen()
	}
}
