package storetest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/muster-registry/muster/server/store"
)

// Disk is what a [Memory] store writes to. It outlives the store, so that a
// test restarts a registry by opening the same disk again. At most one store
// has it open at a time. All methods are safe for concurrent use.
type Disk struct {
	mu        sync.Mutex
	clusterID string
	revision  uint64
	entries   map[string]store.Entry
	open      bool
}

// NewDisk makes an empty disk with a random cluster id.
func NewDisk() *Disk {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, by its contract
	return NewDiskFor(hex.EncodeToString(id[:]))
}

// NewDiskFor makes an empty disk of the given cluster, for tests that want
// equal runs to be equal.
func NewDiskFor(clusterID string) *Disk {
	return &Disk{clusterID: clusterID, entries: make(map[string]store.Entry)}
}

// Open opens the disk. It fails while another store has it open.
func (d *Disk) Open() (*Memory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open {
		return nil, errors.New("memory disk is in use by another store; close that one first")
	}
	d.open = true
	return newMemory(d), nil
}

// Clone copies the disk as it is now, as a backup does: the copy has the same
// cluster id and history. It may be taken while a store has the disk open.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Disk{clusterID: d.clusterID, revision: d.revision, entries: maps.Clone(d.entries)}
}

// Revision is that of the newest durable commit.
func (d *Disk) Revision() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.revision
}

// Entries are the durable entries, in key order.
func (d *Disk) Entries() []*store.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	keys := slices.Sorted(maps.Keys(d.entries))
	entries := make([]*store.Entry, len(keys))
	for i, k := range keys {
		e := d.entries[k]
		entries[i] = &e
	}
	return entries
}

func (d *Disk) entry(key string) store.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.entries[key]
}

func (d *Disk) write(commits []store.Commit) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range commits {
		d.revision = commits[i].Revision
		for _, e := range commits[i].Events {
			if e.Deleted {
				delete(d.entries, e.Key)
			} else {
				d.entries[e.Key] = *e.Entry
			}
		}
	}
}

func (d *Disk) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = false
}
