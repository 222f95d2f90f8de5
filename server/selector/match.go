package selector

import (
	"bytes"
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// matches tests the cheap fields first; every field that is set must match.
func (f *filter) matches(instance *musterv1.Instance) bool {
	return containsEnum(f.healths, orDefault(instance.GetHealth(), musterv1.Health_HEALTH_HEALTHY)) &&
		containsEnum(f.lifecycles, orDefault(instance.GetLifecycle(), musterv1.Lifecycle_LIFECYCLE_SERVING)) &&
		contains(f.instanceIDs, instance.GetInstanceId()) &&
		contains(f.regions, instance.GetLocality().GetRegion()) &&
		contains(f.zones, instance.GetLocality().GetZone()) &&
		f.matchesCapabilities(instance.GetCapabilities()) &&
		f.matchesEndpoints(instance.GetEndpoints()) &&
		f.matchesMetadata(instance.GetMetadata()) &&
		f.shard.matches(instance.GetShard()) &&
		f.versions.MatchText(instance.GetVersion())
}

// orDefault reads an enum that is not said as its default.
func orDefault[E ~int32](e, unset E) E {
	if e == 0 {
		return unset
	}
	return e
}

// contains tells whether an unset list or one with the value in it is given.
func contains(sorted []string, value string) bool {
	if len(sorted) == 0 {
		return true
	}
	_, found := slices.BinarySearch(sorted, value)
	return found
}

func containsEnum[E ~int32](list []uint32, value E) bool {
	return len(list) == 0 || slices.Contains(list, uint32(value))
}

func (f *filter) matchesCapabilities(has []string) bool {
	for _, wanted := range f.capabilities {
		if !slices.Contains(has, wanted) {
			return false
		}
	}
	return true
}

func (f *filter) matchesEndpoints(endpoints []*musterv1.Endpoint) bool {
	if len(f.endpointNames) == 0 {
		return true
	}
	for _, e := range endpoints {
		if contains(f.endpointNames, e.GetName()) {
			return true
		}
	}
	return false
}

func (f *filter) matchesMetadata(metadata map[string]string) bool {
	for _, m := range f.metadata {
		value, ok := metadata[m.key]
		if !ok || !contains(m.values, value) {
			return false
		}
	}
	return true
}

// matches tells whether an instance serves the wanted part. One without a
// shard serves everything; one that is sharded in the other way cannot be
// known to serve it.
func (m *shardMatch) matches(shard *musterv1.Shard) bool {
	if m == nil || shard.GetKind() == nil {
		return true
	}
	switch kind := shard.GetKind().(type) {
	case *musterv1.Shard_KeyRange:
		start, end := kind.KeyRange.GetStart(), kind.KeyRange.GetEnd()
		return !m.byID && bytes.Compare(start, m.key) <= 0 && (len(end) == 0 || bytes.Compare(m.key, end) < 0)
	case *musterv1.Shard_ShardIds:
		return m.byID && slices.Contains(kind.ShardIds.GetIds(), m.id)
	}
	return false
}
