package record

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// TestFieldNumbers holds the numbers that are read and added without decoding
// to the contract.
func TestFieldNumbers(t *testing.T) {
	fields := (&musterv1.Instance{}).ProtoReflect().Descriptor().Fields()
	for name, number := range map[protoreflect.Name]protowire.Number{
		"lifecycle": fieldLifecycle, "health": fieldHealth, "incarnation": fieldIncarnation,
		"create_revision": fieldCreateRevision, "modify_revision": fieldModifyRevision, "tag": fieldTag,
	} {
		if f := fields.ByName(name); f == nil || f.Number() != number {
			t.Errorf("%s: used is %d, the contract says %v", name, number, f)
		}
	}
}

// TestPublicFormHoldsNoRevisions is M1.2b: they are the store's.
func TestPublicFormHoldsNoRevisions(t *testing.T) {
	in := &musterv1.Instance{InstanceId: "a", Incarnation: 1, CreateRevision: 2, ModifyRevision: 3}
	if got, want := string(EncodePublic(in)), string(EncodePublic(&musterv1.Instance{InstanceId: "a"})); got != want {
		t.Errorf("public form %x, want %x", got, want)
	}
	if in.GetModifyRevision() != 3 {
		t.Error("the argument was changed")
	}
	s, err := DecodeService(EncodeService(&musterv1.ServiceState{CreateRevision: 8, ModifyRevision: 9}), 1, 2)
	if err != nil || s.GetCreateRevision() != 1 || s.GetModifyRevision() != 2 {
		t.Errorf("state = %v, %v; want the store's revisions", s, err)
	}
}

// TestLeaseInstancesAreThoseDecoded, and are read no further than wanted.
func TestLeaseInstancesAreThoseDecoded(t *testing.T) {
	want := []string{"/i/shop/pay/a", "/i/shop/pay/b", ""}
	value := EncodeLease(&Lease{Owner: "s", TtlMs: 5, Instances: want, RequestId: "r", Epoch: 7})
	if got := slices.Collect(LeaseInstances(value)); !slices.Equal(got, want) {
		t.Errorf("instances %q, want %q", got, want)
	}
	for first := range LeaseInstances(value) {
		if first != want[0] {
			t.Errorf("the first is %q, want %q", first, want[0])
		}
		break
	}
	if got := slices.Collect(LeaseInstances([]byte{0xff})); len(got) != 0 {
		t.Errorf("instances %q of what is no lease", got)
	}
}
