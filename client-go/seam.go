package muster

import (
	"slices"
	"strings"

	"github.com/muster-registry/muster/client-go/internal/seam"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func init() {
	seam.Encode = func(spec any) (*musterv1.Instance, error) {
		s, ok := spec.(InstanceSpec)
		if !ok {
			return nil, optionError("spec", spec, "use a muster.InstanceSpec")
		}
		return normalised(s)
	}
	seam.Normalise = func(p *musterv1.Instance) (*musterv1.Instance, error) { return normalised(specFrom(p)) }
	seam.GracePeriodMs = func(registration any) int64 {
		return registration.(*Registration).session.client.config.GracePeriod.Milliseconds()
	}
	seam.Decode = func(p *musterv1.Instance) any { return instanceFrom(p) }
}

// normalised is an instance as registries store it: whole, checked, its sets
// sorted.
func normalised(s InstanceSpec) (*musterv1.Instance, error) {
	s = s.complete()
	if err := s.validate(); err != nil {
		return nil, err
	}
	p := s.proto()
	slices.SortFunc(p.GetEndpoints(), func(a, b *musterv1.Endpoint) int { return strings.Compare(a.GetName(), b.GetName()) })
	slices.Sort(p.GetCapabilities())
	return p, nil
}

// specFrom is what the owner of an instance says of it.
func specFrom(p *musterv1.Instance) InstanceSpec {
	i := instanceFrom(p)
	s := InstanceSpec{
		Namespace: i.Namespace, Service: i.Service, ID: i.ID,
		Version: i.Version, Locality: i.Locality, Weight: p.Weight, Lifecycle: i.Lifecycle,
		Shard: i.Shard, Metadata: i.Metadata, Capabilities: i.Capabilities, SchemaVersion: i.SchemaVersion,
		Health: Health(p.GetSelfHealth().GetHealth()), HealthReason: p.GetSelfHealth().GetReason(),
	}
	for _, e := range i.Endpoints {
		s.Endpoints = append(s.Endpoints, EndpointSpec(e))
	}
	return s
}
