package muster

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// instanceFrom takes what a server sent into the domain type. Unspecified
// values read as the contract says.
func instanceFrom(p *musterv1.Instance) *Instance {
	i := &Instance{
		Key:            Key{p.GetNamespace(), p.GetService(), p.GetInstanceId()},
		Version:        p.GetVersion(),
		Endpoints:      make([]Endpoint, len(p.GetEndpoints())),
		Locality:       Locality{p.GetLocality().GetRegion(), p.GetLocality().GetZone()},
		Weight:         defaults.Weight,
		Lifecycle:      orDefault(Lifecycle(p.GetLifecycle()), Serving),
		Shard:          shardFrom(p.GetShard()),
		Metadata:       p.GetMetadata(),
		Capabilities:   p.GetCapabilities(),
		SchemaVersion:  p.GetSchemaVersion(),
		Health:         orDefault(Health(p.GetHealth()), Healthy),
		Incarnation:    p.GetIncarnation(),
		CreateRevision: p.GetCreateRevision(),
		ModifyRevision: p.GetModifyRevision(),
		CreateTime:     timeFrom(p.GetCreateTime()),
		ModifyTime:     timeFrom(p.GetModifyTime()),
		tag:            p.GetTag(),
	}
	if p.Weight != nil {
		i.Weight = p.GetWeight()
	}
	for n, e := range p.GetEndpoints() {
		i.Endpoints[n] = endpointFrom(e)
	}
	for _, s := range p.GetHealthSlots() {
		i.HealthSlots = append(i.HealthSlots, HealthSlot{
			HealthSource(s.GetSource()), orDefault(Health(s.GetHealth()), Healthy), s.GetReason(), timeFrom(s.GetSinceTime()),
		})
	}
	if o := p.GetOrigin(); o != nil {
		i.Origin = &Origin{o.GetRegion(), o.GetClusterId(), Position{o.GetEpoch(), o.GetRevision()}}
	}
	return i
}

func endpointFrom(e *musterv1.Endpoint) Endpoint {
	return Endpoint{
		Name:       e.GetName(),
		Address:    e.GetAddress(),
		Protocol:   orDefault(Protocol(e.GetProtocol()), ProtocolGRPC),
		Security:   orDefault(Security(e.GetSecurity()), SecurityPlaintext),
		ServerName: e.GetServerName(),
		Authority:  e.GetAuthority(),
	}
}

func shardFrom(s *musterv1.Shard) *Shard {
	switch kind := s.GetKind().(type) {
	case *musterv1.Shard_KeyRange:
		return &Shard{Start: kind.KeyRange.GetStart(), End: kind.KeyRange.GetEnd()}
	case *musterv1.Shard_ShardIds:
		return &Shard{IDs: kind.ShardIds.GetIds()}
	default:
		return nil
	}
}

func (s *Shard) proto() *musterv1.Shard {
	switch {
	case s == nil:
		return nil
	case len(s.IDs) > 0:
		return &musterv1.Shard{Kind: &musterv1.Shard_ShardIds{ShardIds: &musterv1.ShardIds{Ids: s.IDs}}}
	default:
		return &musterv1.Shard{Kind: &musterv1.Shard_KeyRange{KeyRange: &musterv1.KeyRange{Start: s.Start, End: s.End}}}
	}
}

func serviceStateFrom(p *musterv1.ServiceState) *ServiceState {
	s := &ServiceState{
		ServiceName:    ServiceName{p.GetNamespace(), p.GetService()},
		Policy:         policyFrom(p.GetPolicy()),
		Held:           len(p.GetHolds()) > 0,
		CreateRevision: p.GetCreateRevision(),
		ModifyRevision: p.GetModifyRevision(),
		tag:            p.GetTag(),
	}
	if e := p.GetEmptied(); e != nil {
		s.Emptied = &Emptied{RemovalReason(e.GetReason()), e.GetInstanceId(), e.GetRevision(), timeFrom(e.GetTime())}
	}
	return s
}

func serviceNamesFrom(ps []*musterv1.ServiceName) []ServiceName {
	names := make([]ServiceName, len(ps))
	for i, p := range ps {
		names[i] = ServiceName{p.GetNamespace(), p.GetService()}
	}
	return names
}

func timeFrom(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func orDefault[T ~int32](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

func tracesFrom(traces []*musterv1.ChangeTrace) []ChangeTrace {
	if len(traces) == 0 {
		return nil
	}
	list := make([]ChangeTrace, len(traces))
	for i, t := range traces {
		list[i] = ChangeTrace{Revision: t.GetRevision(), Traceparent: t.GetTraceparent()}
	}
	return list
}
