package view

import (
	"fmt"
	"testing"

	"github.com/muster-registry/muster/server/internal/entrymap"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

func TestIncarnations(t *testing.T) {
	var leases []*store.Entry
	var hashes []uint64
	for i := range 1000 {
		e := &store.Entry{Key: record.LeaseKey(fmt.Sprint(i)), CreateRevision: uint64(i + 1)}
		leases, hashes = append(leases, e), append(hashes, entrymap.Hash(e.Key))
	}
	x := newIncarnations(leases, hashes)
	for i := range 2000 {
		got, ok := x.of([]byte(fmt.Sprint(i)))
		if want := uint64(i + 1); ok != (i < 1000) || ok && got != want {
			t.Fatalf("lease %d has incarnation %d (%v), want %d", i, got, ok, want)
		}
	}
	hashes[7] = hashes[11]
	if newIncarnations(leases, hashes) != nil {
		t.Error("two leases of one hash are told apart")
	}
}
