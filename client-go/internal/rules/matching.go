package rules

import (
	"bytes"
	"slices"
	"strings"
)

// MatchNames says which services are wanted: some by their full names, or all that
// begin so.
type MatchNames struct {
	// Services are "namespace/service"; without them Namespace and Prefix count.
	Services []string
	// Namespace is whole; empty is every namespace.
	Namespace string
	// Prefix of the services' names; empty matches all.
	Prefix string
}

// Match tells whether a service is wanted.
func (n MatchNames) Match(namespace, service string) bool {
	if len(n.Services) > 0 {
		return slices.Contains(n.Services, namespace+"/"+service)
	}
	return (n.Namespace == "" || n.Namespace == namespace) && strings.HasPrefix(service, n.Prefix)
}

// MatchFilter is a conjunction: an instance passes if every field that is set
// matches. A list without elements is not set.
type MatchFilter struct {
	// VersionRange that the version must be in; a text that is no range matches
	// nothing.
	VersionRange string
	// Metadata are conditions that must all match.
	Metadata []MetadataCondition
	// Capabilities that the instance must all have.
	Capabilities []string
	// Shard that the instance must serve; nil is any.
	Shard *ShardWanted
	// Healths, Lifecycles, Regions, Zones and IDs of which the instance's must be one.
	Healths, Lifecycles, Regions, Zones, IDs []string
	// Endpoints are names of which the instance must have one.
	Endpoints []string
}

// MetadataCondition is met by a key that exists, with one of the values if
// there are any.
type MetadataCondition struct {
	Key    string
	Values []string
}

// ShardWanted is the shard numbered ID, or else the one that serves Key.
type ShardWanted struct {
	ByID bool
	ID   uint32
	Key  []byte
}

// MatchCandidate is what a filter looks at in an instance.
type MatchCandidate struct {
	ID, Version, Region, Zone string
	// Health and Lifecycle are names; empty reads as HEALTHY and SERVING.
	Health, Lifecycle string
	Metadata          map[string]string
	Capabilities      []string
	// Shard is nil for an instance that serves everything.
	Shard *ShardServed
	// Endpoints are the names of the endpoints.
	Endpoints []string
}

// ShardServed is a set of numbers, or else the keys from Start to End; an empty
// Start is the lowest, an empty End past the highest.
type ShardServed struct {
	ByID       bool
	IDs        []uint32
	Start, End []byte
}

// Match tells whether an instance passes.
func (f *MatchFilter) Match(c *MatchCandidate) bool {
	return oneOf(f.Healths, orElse(c.Health, "HEALTHY")) &&
		oneOf(f.Lifecycles, orElse(c.Lifecycle, "SERVING")) &&
		oneOf(f.IDs, c.ID) &&
		oneOf(f.Regions, c.Region) &&
		oneOf(f.Zones, c.Zone) &&
		f.matchCapabilities(c.Capabilities) &&
		f.matchEndpoints(c.Endpoints) &&
		f.matchMetadata(c.Metadata) &&
		(f.Shard == nil || c.Shard == nil || f.Shard.match(c.Shard)) &&
		SemverMatches(f.VersionRange, c.Version)
}

func oneOf(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (f *MatchFilter) matchCapabilities(has []string) bool {
	return !slices.ContainsFunc(f.Capabilities, func(wanted string) bool { return !slices.Contains(has, wanted) })
}

func (f *MatchFilter) matchEndpoints(has []string) bool {
	return len(f.Endpoints) == 0 || slices.ContainsFunc(has, func(name string) bool { return slices.Contains(f.Endpoints, name) })
}

func (f *MatchFilter) matchMetadata(has map[string]string) bool {
	return !slices.ContainsFunc(f.Metadata, func(m MetadataCondition) bool {
		value, ok := has[m.Key]
		return !ok || !oneOf(m.Values, value)
	})
}

// match: an instance that is sharded in the other way cannot be known to serve
// what is wanted.
func (w *ShardWanted) match(s *ShardServed) bool {
	if w.ByID != s.ByID {
		return false
	}
	if w.ByID {
		return slices.Contains(s.IDs, w.ID)
	}
	return bytes.Compare(s.Start, w.Key) <= 0 && (len(s.End) == 0 || bytes.Compare(w.Key, s.End) < 0)
}
