package mustertest

import (
	"strings"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// filterOf is a filter as the rule of matching reads it.
func filterOf(f *musterv1.InstanceFilter) *rules.MatchFilter {
	m := &rules.MatchFilter{
		VersionRange: f.GetVersionRange(), Capabilities: f.GetCapabilities(),
		Healths: names(f.GetHealths(), healthName), Lifecycles: names(f.GetLifecycles(), lifecycleName),
		Regions: f.GetRegions(), Zones: f.GetZones(), IDs: f.GetInstanceIds(), Endpoints: f.GetEndpointNames(),
	}
	for _, c := range f.GetMetadata() {
		m.Metadata = append(m.Metadata, rules.MetadataCondition{Key: c.GetKey(), Values: c.GetValues()})
	}
	switch kind := f.GetShard().GetKind().(type) {
	case *musterv1.ShardMatch_Key:
		m.Shard = &rules.ShardWanted{Key: kind.Key}
	case *musterv1.ShardMatch_ShardId:
		m.Shard = &rules.ShardWanted{ByID: true, ID: kind.ShardId}
	}
	return m
}

// candidateOf is an instance as the rule of matching reads it.
func candidateOf(i *musterv1.Instance) *rules.MatchCandidate {
	c := &rules.MatchCandidate{
		ID: i.GetInstanceId(), Version: i.GetVersion(),
		Region: i.GetLocality().GetRegion(), Zone: i.GetLocality().GetZone(),
		Health: healthName(i.GetHealth()), Lifecycle: lifecycleName(i.GetLifecycle()),
		Metadata: i.GetMetadata(), Capabilities: i.GetCapabilities(),
	}
	switch kind := i.GetShard().GetKind().(type) {
	case *musterv1.Shard_KeyRange:
		c.Shard = &rules.ShardServed{Start: kind.KeyRange.GetStart(), End: kind.KeyRange.GetEnd()}
	case *musterv1.Shard_ShardIds:
		c.Shard = &rules.ShardServed{ByID: true, IDs: kind.ShardIds.GetIds()}
	}
	for _, e := range i.GetEndpoints() {
		c.Endpoints = append(c.Endpoints, e.GetName())
	}
	return c
}

func names[E any](list []E, name func(E) string) []string {
	var texts []string
	for _, e := range list {
		texts = append(texts, name(e))
	}
	return texts
}

// healthName is empty if nothing is said.
func healthName(h musterv1.Health) string {
	return strings.TrimPrefix(strings.TrimPrefix(h.String(), "HEALTH_"), "UNSPECIFIED")
}

// lifecycleName is empty if nothing is said.
func lifecycleName(l musterv1.Lifecycle) string {
	return strings.TrimPrefix(strings.TrimPrefix(l.String(), "LIFECYCLE_"), "UNSPECIFIED")
}
