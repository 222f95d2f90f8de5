package muster

import (
	"maps"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Fields that a registration's setters change, as update masks name them.
const (
	fieldWeight     = "weight"
	fieldLifecycle  = "lifecycle"
	fieldMetadata   = "metadata"
	fieldSelfHealth = "self_health"
)

// changedFields names the fields that must be sent to turn what the registry
// has into what is wanted, in the order of the contract.
func changedFields(have, want *musterv1.Instance) []string {
	var fields []string
	if have.GetWeight() != want.GetWeight() || (have.Weight == nil) != (want.Weight == nil) {
		fields = append(fields, fieldWeight)
	}
	if have.GetLifecycle() != want.GetLifecycle() {
		fields = append(fields, fieldLifecycle)
	}
	if !maps.Equal(have.GetMetadata(), want.GetMetadata()) {
		fields = append(fields, fieldMetadata)
	}
	if !sameHealth(have.GetSelfHealth(), want.GetSelfHealth()) {
		fields = append(fields, fieldSelfHealth)
	}
	return fields
}

// sameHealth compares reports; none means healthy.
func sameHealth(a, b *musterv1.SelfHealth) bool {
	return max(a.GetHealth(), musterv1.Health_HEALTH_HEALTHY) == max(b.GetHealth(), musterv1.Health_HEALTH_HEALTHY) &&
		a.GetReason() == b.GetReason()
}

// patch is an instance that carries the key and the named fields of want.
func patch(want *musterv1.Instance, fields []string) *musterv1.Instance {
	p := &musterv1.Instance{
		Namespace: want.GetNamespace(), Service: want.GetService(), InstanceId: want.GetInstanceId(),
	}
	copyFields(p, want, fields)
	return p
}

// copyFields takes the named fields over.
func copyFields(to, from *musterv1.Instance, fields []string) {
	for _, f := range fields {
		switch f {
		case fieldWeight:
			to.Weight = nil
			if from.Weight != nil {
				to.Weight = proto.Uint32(from.GetWeight())
			}
		case fieldLifecycle:
			to.Lifecycle = from.GetLifecycle()
		case fieldMetadata:
			to.Metadata = maps.Clone(from.GetMetadata())
		case fieldSelfHealth:
			to.SelfHealth = proto.CloneOf(from.GetSelfHealth())
		}
	}
}

func cloneInstances(list []*musterv1.Instance) []*musterv1.Instance {
	copies := make([]*musterv1.Instance, len(list))
	for i, p := range list {
		copies[i] = proto.CloneOf(p)
	}
	return copies
}
