package muster

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// proto is the entry as a server would send it, for the disk cache. What
// instanceFrom reads, it writes: a field added to one belongs into the other.
func (i *Instance) proto() *musterv1.Instance {
	p := &musterv1.Instance{
		Namespace: i.Namespace, Service: i.Service, InstanceId: i.ID,
		Version:        i.Version,
		Weight:         proto.Uint32(i.Weight),
		Lifecycle:      musterv1.Lifecycle(i.Lifecycle),
		Shard:          i.Shard.proto(),
		Metadata:       i.Metadata,
		Capabilities:   i.Capabilities,
		SchemaVersion:  i.SchemaVersion,
		Health:         musterv1.Health(i.Health),
		Incarnation:    i.Incarnation,
		CreateRevision: i.CreateRevision,
		ModifyRevision: i.ModifyRevision,
		CreateTime:     timeOut(i.CreateTime),
		ModifyTime:     timeOut(i.ModifyTime),
		Tag:            i.tag,
	}
	if i.Locality != (Locality{}) {
		p.Locality = &musterv1.Locality{Region: i.Locality.Region, Zone: i.Locality.Zone}
	}
	for _, e := range i.Endpoints {
		p.Endpoints = append(p.Endpoints, e.proto())
	}
	for _, s := range i.HealthSlots {
		p.HealthSlots = append(p.HealthSlots, &musterv1.HealthSlot{
			Source: musterv1.HealthSource(s.Source), Health: musterv1.Health(s.Health),
			Reason: s.Reason, SinceTime: timeOut(s.Since),
		})
	}
	if o := i.Origin; o != nil {
		p.Origin = &musterv1.Origin{
			Region: o.Region, ClusterId: o.ClusterID, Epoch: o.Position.Epoch, Revision: o.Position.Revision,
		}
	}
	return p
}

func (e Endpoint) proto() *musterv1.Endpoint {
	return &musterv1.Endpoint{
		Name: e.Name, Address: e.Address,
		Protocol: musterv1.Protocol(e.Protocol), Security: musterv1.TransportSecurity(e.Security),
		ServerName: e.ServerName, Authority: e.Authority,
	}
}

// proto is the state as a server would send it, as far as this client knows it.
func (s *ServiceState) proto() *musterv1.ServiceState {
	p := &musterv1.ServiceState{
		Namespace: s.Namespace, Service: s.Service, Policy: s.Policy.proto(),
		CreateRevision: s.CreateRevision, ModifyRevision: s.ModifyRevision, Tag: s.tag,
	}
	if s.Held {
		p.Holds = []*musterv1.GuardHold{{}}
	}
	if e := s.Emptied; e != nil {
		p.Emptied = &musterv1.Emptied{
			Reason: musterv1.RemovalReason(e.Reason), InstanceId: e.InstanceID, Revision: e.Revision, Time: timeOut(e.Time),
		}
	}
	return p
}

func timeOut(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
