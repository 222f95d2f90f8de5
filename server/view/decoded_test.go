package view

import (
	"fmt"
	"testing"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
)

// TestDecodedFormsAreKeptForAWhile: one that is asked for again is the same;
// only so many are kept.
func TestDecodedFormsAreKeptForAWhile(t *testing.T) {
	instances := make([]*Instance, 2*keptDecoded)
	for n := range instances {
		name := record.InstanceName{ServiceName: record.ServiceName{Namespace: "shop", Service: "pay"}, ID: fmt.Sprint(n)}
		public := record.EncodePublic(&musterv1.Instance{Namespace: "shop", Service: "pay", InstanceId: name.ID})
		instances[n] = &Instance{entry: &store.Entry{Key: name.Key(), Value: record.Instance{Public: public, LeaseID: "l"}.Encode()}}
		if p := instances[n].Decoded(); p != instances[n].Decoded() || p.GetInstanceId() != name.ID {
			t.Fatalf("instance %d is decoded as %v, and then anew", n, p)
		}
	}
	kept := 0
	for _, in := range instances {
		if in.decoded.Load() != nil {
			kept++
		}
	}
	if kept != keptDecoded {
		t.Errorf("%d decoded forms are kept, want %d", kept, keptDecoded)
	}
	if instances[0].decoded.Load() != nil || instances[len(instances)-1].decoded.Load() == nil {
		t.Error("not the oldest ones were let go")
	}
}
