package muster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// InstanceSpec is what a process registers of itself. Namespace, Service and
// usually one endpoint are needed; the rest has defaults.
type InstanceSpec struct {
	// Namespace: 1 to 63 of a-z, 0-9 and '-'.
	Namespace string
	// Service: 1 to 63 of a-z, 0-9, '-', '.' and '_'.
	Service string
	// ID of the process within the service; empty draws one at random. A
	// process that restarts may use its ID again; two alive at once must not.
	ID string
	// Version of the release, as semantic version; empty is unversioned.
	Version string
	// Endpoints are what clients dial; at most 16, with distinct names.
	Endpoints []EndpointSpec
	// Locality is where the process runs, empty parts are unknown; the zero
	// value is that of the client.
	Locality Locality
	// Weight is the share of new requests; nil is 100, 0 takes none.
	Weight *uint32
	// Lifecycle is Starting or Serving; the zero value is Serving. A process
	// that is not listening yet registers Starting.
	Lifecycle Lifecycle
	// Shard is the part of a sharded service; nil is all of it.
	Shard *Shard
	// Metadata is anything else; at most 64 keys and 16 KiB.
	Metadata map[string]string
	// Capabilities are optional abilities; at most 64.
	Capabilities []string
	// SchemaVersion is the version of the form of this entry.
	SchemaVersion uint32
	// Health is what the process says of itself; the zero value is Healthy.
	Health Health
	// HealthReason is why, for people.
	HealthReason string
}

// EndpointSpec is one thing that clients dial.
type EndpointSpec struct {
	// Name of the port, unique within the instance; empty is "grpc".
	Name string
	// Address is host:port as clients dial it; see AdvertiseFrom.
	Address string
	// Protocol spoken; the zero value is ProtocolGRPC.
	Protocol Protocol
	// Security of the connection; the zero value is SecurityPlaintext.
	Security Security
	// ServerName in the certificate; empty is "service.namespace".
	ServerName string
	// Authority that requests carry; empty is ServerName.
	Authority string
}

// Key is the key of the instance.
func (s InstanceSpec) Key() Key { return Key{s.Namespace, s.Service, s.ID} }

// complete fills in defaults.
func (s InstanceSpec) complete() InstanceSpec {
	if s.ID == "" {
		s.ID = fmt.Sprintf("%s-%08x", s.Service, rand.Uint32())
	}
	s.Lifecycle = orDefault(s.Lifecycle, Serving)
	s.Health = orDefault(s.Health, Healthy)
	s.Endpoints = slices.Clone(s.Endpoints)
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if e.Name == "" {
			e.Name = "grpc"
		}
		e.Protocol = orDefault(e.Protocol, ProtocolGRPC)
		e.Security = orDefault(e.Security, SecurityPlaintext)
	}
	return s
}

func (s InstanceSpec) proto() *musterv1.Instance {
	p := &musterv1.Instance{
		Namespace:     s.Namespace,
		Service:       s.Service,
		InstanceId:    s.ID,
		Version:       s.Version,
		Weight:        s.Weight,
		Lifecycle:     musterv1.Lifecycle(s.Lifecycle),
		Shard:         s.Shard.proto(),
		Metadata:      maps.Clone(s.Metadata),
		Capabilities:  slices.Clone(s.Capabilities),
		SchemaVersion: s.SchemaVersion,
	}
	if s.Weight == nil {
		p.Weight = proto.Uint32(defaults.Weight)
	}
	if s.Locality != (Locality{}) {
		p.Locality = &musterv1.Locality{Region: s.Locality.Region, Zone: s.Locality.Zone}
	}
	if s.Health != Healthy || s.HealthReason != "" {
		p.SelfHealth = &musterv1.SelfHealth{Health: musterv1.Health(s.Health), Reason: s.HealthReason}
	}
	for _, e := range s.Endpoints {
		p.Endpoints = append(p.Endpoints, &musterv1.Endpoint{
			Name: e.Name, Address: e.Address,
			Protocol: musterv1.Protocol(e.Protocol), Security: musterv1.TransportSecurity(e.Security),
			ServerName: e.ServerName, Authority: e.Authority,
		})
	}
	return p
}
