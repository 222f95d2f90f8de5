package view

import (
	"time"

	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

// Lease is one lease: the store's entry itself, read when it is asked. It is
// immutable.
type Lease store.Entry

// NewLease makes a lease of an entry of the store, or says why it is none.
func NewLease(e *store.Entry) (*Lease, error) {
	if err := record.CheckLease(e.Value); err != nil {
		return nil, err
	}
	return (*Lease)(e), nil
}

// findLease finds a lease by its id, or returns nil.
func findLease[ID string | []byte](leases *entrymap.Map, id ID) *Lease {
	var room [64]byte
	key := leaseKey(room[:0], id)
	return (*Lease)(leases.GetHashed(entrymap.HashBytes(key), key))
}

// leaseKey appends a lease's key in the store.
func leaseKey[ID string | []byte](dst []byte, id ID) []byte {
	return append(append(dst, record.LeasePrefix...), id...)
}

// ID is its secret name.
func (l *Lease) ID() string { return record.LeaseID(l.Key) }

// Incarnation is the lease's create revision, its public name.
func (l *Lease) Incarnation() uint64 { return l.CreateRevision }

// TTL is its time to live.
func (l *Lease) TTL() time.Duration {
	return time.Duration(record.LeaseTTLMs(l.Value)) * time.Millisecond
}

// Record is what it holds, decoded anew at each call.
func (l *Lease) Record() *record.Lease {
	r, err := record.DecodeLease(l.Value)
	if err != nil {
		panic("view: a lease was decoded before and cannot be now: " + err.Error())
	}
	return r
}
