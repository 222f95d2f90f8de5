package mustergrpc

import (
	"cmp"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// candidatesOf are the instances of a view as a plan needs them, in their
// order. ejected tells of slots what this channel's own calls found out.
func candidatesOf(instances []*muster.Instance, endpoint string, ejected func(rules.SlotKey) bool) []rules.Candidate {
	candidates := make([]rules.Candidate, len(instances))
	for n, i := range instances {
		key := slotOf(i, endpoint)
		candidates[n] = rules.Candidate{
			Key: key, Weight: i.Weight, Lifecycle: i.Lifecycle.String(), Health: i.Health.String(), Version: i.Version,
			Region: i.Locality.Region, Zone: i.Locality.Zone, Generation: generationOf(i),
			Ejected: ejected(key),
		}
	}
	return candidates
}

// generationOf rises when an instance is registered anew.
func generationOf(i *muster.Instance) uint64 { return max(i.CreateRevision, i.Incarnation) }

// slotOf is the connection of an instance: its gRPC endpoint of that name; if
// none is given the one named "grpc", else the first by name.
func slotOf(i *muster.Instance, name string) rules.SlotKey {
	var chosen *muster.Endpoint
	for n := range i.Endpoints {
		e := &i.Endpoints[n]
		if e.Protocol != muster.ProtocolGRPC || name != "" && e.Name != name {
			continue
		}
		if chosen == nil || chosen.Name != "grpc" && (e.Name == "grpc" || e.Name < chosen.Name) {
			chosen = e
		}
	}
	if chosen == nil {
		return rules.SlotKey{}
	}
	serverName := cmp.Or(chosen.ServerName, authorityOf(i.ServiceName()))
	return rules.SlotKey{
		Protocol: chosen.Protocol.String(), Address: chosen.Address, Security: chosen.Security.String(),
		ServerName: serverName, Authority: cmp.Or(chosen.Authority, serverName),
	}
}

// policyOf is the policy of a service as a plan needs it.
func policyOf(state *muster.ServiceState) rules.Policy {
	if state == nil || state.Policy == nil {
		return rules.Policy{}
	}
	p := state.Policy
	policy := rules.Policy{
		LocalityRule: p.LocalityRule.String(), SubsetSize: p.SubsetSize, PanicThreshold: p.PanicThreshold,
	}
	for _, s := range p.VersionShares {
		policy.VersionShares = append(policy.VersionShares, rules.VersionShare{Range: s.VersionRange, Share: s.Share})
	}
	return policy
}
