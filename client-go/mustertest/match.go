package mustertest

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// passes tells whether a filter lets an instance through: every field that is
// set must match (docs/protocol.md, section 2.14). Pure.
func passes(f *musterv1.InstanceFilter, i *musterv1.Instance) bool {
	health := cmp.Or(i.GetHealth(), musterv1.Health_HEALTH_HEALTHY)
	lifecycle := cmp.Or(i.GetLifecycle(), musterv1.Lifecycle_LIFECYCLE_SERVING)
	return rules.SemverMatches(f.GetVersionRange(), i.GetVersion()) &&
		oneOf(f.GetHealths(), health) && oneOf(f.GetLifecycles(), lifecycle) &&
		oneOf(f.GetRegions(), i.GetLocality().GetRegion()) && oneOf(f.GetZones(), i.GetLocality().GetZone()) &&
		oneOf(f.GetInstanceIds(), i.GetInstanceId()) &&
		all(f.GetCapabilities(), func(c string) bool { return slices.Contains(i.GetCapabilities(), c) }) &&
		(len(f.GetEndpointNames()) == 0 || slices.ContainsFunc(i.GetEndpoints(), func(e *musterv1.Endpoint) bool {
			return slices.Contains(f.GetEndpointNames(), e.GetName())
		})) &&
		all(f.GetMetadata(), func(m *musterv1.MetadataMatch) bool {
			value, ok := i.GetMetadata()[m.GetKey()]
			return ok && oneOf(m.GetValues(), value)
		}) &&
		serves(i.GetShard(), f.GetShard())
}

// oneOf tells whether a value is one of those that are wanted; none means any.
func oneOf[T comparable](wanted []T, value T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, value)
}

func all[T any](list []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(list, func(t T) bool { return !ok(t) })
}

// serves tells whether an instance serves a part. One without a shard serves
// everything; one that is sharded in the other way cannot be known to.
func serves(shard *musterv1.Shard, wanted *musterv1.ShardMatch) bool {
	if wanted == nil || shard.GetKind() == nil {
		return true
	}
	key, byKey := wanted.GetKind().(*musterv1.ShardMatch_Key)
	switch kind := shard.GetKind().(type) {
	case *musterv1.Shard_KeyRange:
		start, end := kind.KeyRange.GetStart(), kind.KeyRange.GetEnd()
		return byKey && bytes.Compare(start, key.Key) <= 0 && (len(end) == 0 || bytes.Compare(key.Key, end) < 0)
	case *musterv1.Shard_ShardIds:
		return !byKey && slices.Contains(kind.ShardIds.GetIds(), wanted.GetShardId())
	}
	return false
}
