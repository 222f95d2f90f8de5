package rpc

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/muster-registry/muster/server/selector"
)

const (
	// answersBytes bounds what Lookup keeps from one call to the next.
	answersBytes = 64 << 20
	// maxKeptSelector and maxKeptBody bound what is kept of one of them.
	maxKeptSelector = 4 << 10
	maxKeptBody     = answersBytes / 8
	// answerOverhead is what an entry takes beside its bytes, about.
	answerOverhead = 1 << 10
)

// answers keeps for the selectors that Lookup was asked for of late what
// does not change from call to call: that the selector is valid, its compiled
// form, and the encoded answer, good for as long as the set is the same.
//
// When there is too much, those go that were not asked for since the hand last
// came by: a clock, which costs a hit nothing but a flag.
type answers struct {
	mu         sync.RWMutex
	bySelector map[string]*answer
	ring       []*answer
	hand       int
	bytes      int
	budget     int
}

// answer is what is kept of one selector.
type answer struct {
	key      string
	selector *selector.Selector
	viewID   uint64

	used  atomic.Bool
	total atomic.Pointer[filteredTotal]
	body  atomic.Pointer[body]
	// building is held while a body is made, so that it is made once.
	building sync.Mutex
	size     int  // guarded by answers.mu
	dropped  bool // guarded by answers.mu
}

// identity is what tells sets apart: the digest of a set is a sum of hashes
// over the names, revisions and tags of its entries.
type identity struct {
	epoch, digest, count uint64
}

// filteredTotal says which part of a set passes a filter.
type filteredTotal struct {
	whole, passing identity
}

// body is an encoded answer but for its header.
type body struct {
	identity
	encoded   mem.Buffer // nil if there are too many instances
	bytes     int
	instances int
}

func newAnswers(budget int) *answers {
	return &answers{bySelector: map[string]*answer{}, budget: budget}
}

// get finds what is kept of an encoded selector, or returns nil.
func (a *answers) get(encoded []byte) *answer {
	a.mu.RLock()
	x := a.bySelector[string(encoded)]
	a.mu.RUnlock()
	if x != nil && !x.used.Load() {
		x.used.Store(true)
	}
	return x
}

func newAnswer(sel *selector.Selector) *answer {
	return &answer{selector: sel, viewID: sel.ViewID("")}
}

// add keeps a selector that was found valid. The caller uses what it returns.
func (a *answers) add(encoded []byte, x *answer) *answer {
	if len(encoded) == 0 || len(encoded) > maxKeptSelector {
		return x
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.bySelector[string(encoded)]; known != nil {
		return known
	}
	x.key = string(encoded)
	// The key, the canonical form, and the names in both.
	x.size = answerOverhead + 4*len(encoded)
	a.bySelector[x.key] = x
	a.ring = append(a.ring, x)
	a.bytes += x.size
	a.trim(x)
	return x
}

// keep keeps a body in place of an older one, if there is room.
func (a *answers) keep(x *answer, b *body) {
	if x.key == "" || b.bytes > maxKeptBody {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.dropped {
		return
	}
	grown := b.bytes
	if old := x.body.Swap(b); old != nil {
		grown -= old.bytes
	}
	x.size += grown
	a.bytes += grown
	a.trim(x)
}

// trim makes room, sparing one.
func (a *answers) trim(spare *answer) {
	for a.bytes > a.budget && len(a.ring) > 1 {
		if a.hand >= len(a.ring) {
			a.hand = 0
		}
		x := a.ring[a.hand]
		if x == spare || x.used.Swap(false) {
			a.hand++
			continue
		}
		last := len(a.ring) - 1
		a.ring[a.hand] = a.ring[last]
		a.ring[last] = nil
		a.ring = a.ring[:last]
		delete(a.bySelector, x.key)
		a.bytes -= x.size
		x.dropped = true
	}
}
