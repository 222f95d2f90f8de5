package muster

import (
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/bench/payload"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// holdings is what a watcher that waits for removals believes to be there. A
// server may send the whole set instead of what changed, and then what is not
// in it was removed.
type holdings struct {
	from uint64
	// known tells which instances were seen; gone, which of them were removed.
	known, gone []bool
	left        int
	// services are the first keys of the services by the view that shows them.
	services map[uint64]uint64
	// partial are the instances of a snapshot that is not complete.
	partial map[uint64]bool
}

// newHoldings waits for n instances that are watched as the answer to the
// subscriptions says, in the order of their services.
func newHoldings(from uint64, n int, opened *musterv1.Opened) *holdings {
	h := &holdings{from: from, known: make([]bool, n), gone: make([]bool, n), left: n, services: map[uint64]uint64{}, partial: map[uint64]bool{}}
	for _, s := range opened.GetSubscriptions() {
		h.services[s.GetViewId()] = uint64(s.GetSubscriptionId()-1) * payload.ServiceInstances
	}
	return h
}

// take takes a frame, and calls seen for each instance that it removes.
func (h *holdings) take(frame []byte, seen func(key uint64)) {
	remove := func(key uint64) {
		if i := key - h.from; i < uint64(len(h.gone)) && !h.gone[i] {
			h.gone[i] = true
			h.left--
			seen(key)
		}
	}
	each(frame, deltaOfFrame, func(delta []byte) {
		each(delta, instancesOfMessage, func(instance []byte) { h.know(instance) })
	})
	removals(frame, remove)
	each(frame, snapshotOfFrame, func([]byte) { h.replace(frame, remove) })
}

// know notes that an instance was seen.
func (h *holdings) know(instance []byte) (key uint64, ok bool) {
	each(instance, instanceIDOfKey, func(id []byte) { key, ok = keyOf(id) })
	if i := key - h.from; ok && i < uint64(len(h.known)) {
		h.known[i] = true
	}
	return key, ok
}

// replace takes a snapshot, or a part of one: what was known and is not in it
// is removed.
func (h *holdings) replace(frame []byte, remove func(key uint64)) {
	decoded := &musterv1.WatchResponse{}
	if proto.Unmarshal(frame, decoded) != nil {
		return
	}
	s := decoded.GetSnapshot()
	for _, in := range s.GetInstances() {
		if key, ok := keyOf([]byte(in.GetInstanceId())); ok {
			h.partial[key] = true
		}
	}
	first, ok := h.services[s.GetHeader().GetViewId()]
	if s.GetChunk().GetPosition() != musterv1.ChunkPosition_CHUNK_POSITION_FINAL || !ok {
		return
	}
	for i := first; i < min(first+payload.ServiceInstances, uint64(len(h.known))); i++ {
		if h.known[i] && !h.partial[h.from+i] {
			remove(h.from + i)
		}
		h.known[i] = h.known[i] || h.partial[h.from+i]
	}
	clear(h.partial)
}
