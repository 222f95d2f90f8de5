package muster

import (
	"slices"
	"sync"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// answersKept is how many answers of Lookup are remembered. The one that was
// used longest ago is forgotten first.
const answersKept = 256

// answers are the last answers of Lookup by selector key, so that a set that did
// not change is not sent again. It is safe for concurrent use.
type answers struct {
	// mu guards what follows. Nothing is taken inside of it.
	mu    sync.Mutex
	views map[string]*View
	// order is from the one used longest ago to the latest.
	order []string
}

func newAnswers() *answers { return &answers{views: make(map[string]*View)} }

// get is the last answer for a selector; nil if none is remembered.
func (a *answers) get(key string) *View {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.views[key]
	if v != nil {
		a.touchLocked(key)
	}
	return v
}

// put remembers an answer, unless a later one is remembered already.
func (a *answers) put(key string, v *View) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.views[key]; old != nil && old.Epoch() == v.Epoch() && old.newerThan(v) {
		return
	}
	a.views[key] = v
	a.touchLocked(key)
	if len(a.order) > answersKept {
		delete(a.views, a.order[0])
		a.order = slices.Delete(a.order, 0, 1)
	}
}

func (a *answers) touchLocked(key string) {
	if at := slices.Index(a.order, key); at >= 0 {
		a.order = slices.Delete(a.order, at, at+1)
	}
	a.order = append(a.order, key)
}

// known is what a server is told that the client holds; nil for nothing.
func (v *View) known() *musterv1.KnownView {
	if v == nil {
		return nil
	}
	return &musterv1.KnownView{
		Epoch: v.position.Epoch, Revision: v.position.Revision, ViewId: v.viewID, Digest: v.digest, Count: v.count,
	}
}
