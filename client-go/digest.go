package muster

import "github.com/muster-registry/muster/client-go/internal/rules"

func instanceHash(i *Instance) uint64 {
	return rules.EntryHash(rules.KindInstance, rules.EntryKey{Namespace: i.Namespace, Service: i.Service, ID: i.ID}, i.ModifyRevision, i.tag)
}

func serviceHash(s *ServiceState) uint64 {
	return rules.EntryHash(rules.KindServiceState, rules.EntryKey{Namespace: s.Namespace, Service: s.Service}, s.ModifyRevision, s.tag)
}

// digestOf is the sum of the hashes of all entries, modulo 2^64.
func digestOf(instances []*Instance, services []*ServiceState) uint64 {
	var sum uint64
	for _, i := range instances {
		sum += instanceHash(i)
	}
	for _, s := range services {
		sum += serviceHash(s)
	}
	return sum
}
