package view

import (
	"sync/atomic"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// keptDecoded is how many instances are kept in their decoded form, at a
// kilobyte or so each. Filters look at instances again and again around the
// moment of a change: once for each group of watchers, before and after.
const keptDecoded = 8192

// decodedForms are the instances that were decoded last, for all views of the
// process: what it bounds is memory of the process.
var decodedForms ring

type ring struct {
	next  atomic.Uint64
	slots [keptDecoded]atomic.Pointer[Instance]
}

// keep lets go of the one that was kept longest.
func (r *ring) keep(in *Instance) {
	slot := &r.slots[r.next.Add(1)%keptDecoded]
	if old := slot.Swap(in); old != nil && old != in {
		old.decoded.Store(nil)
	}
}

// Decoded is the public form, shared by all who ask: it must not be changed.
// It is kept for a while.
func (i *Instance) Decoded() *musterv1.Instance {
	if p := i.decoded.Load(); p != nil {
		return p
	}
	p := i.Proto()
	i.decoded.Store(p)
	decodedForms.keep(i)
	return p
}
