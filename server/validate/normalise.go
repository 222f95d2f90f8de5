package validate

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// DefaultWeight is the weight of an instance that gives none.
const DefaultWeight uint32 = 100

// Normalise brings an accepted instance into the one form in which it is
// stored: defaults filled in, sets sorted, and everything taken out that is
// not the registrant's to say (fields from 16 on, fields that this server
// does not know). Instances that mean the same then are the same, so that an
// update that changes nothing can be told. It changes the instance in place.
func Normalise(in *musterv1.Instance) {
	normalise(in)
	in.Health = musterv1.Health_HEALTH_UNSPECIFIED
	in.HealthSlots = nil
	in.Incarnation = 0
	in.CreateRevision = 0
	in.ModifyRevision = 0
	in.Tag = 0
	in.CreateTime = nil
	in.ModifyTime = nil
	in.Origin = nil
	in.ProtoReflect().SetUnknown(nil)
}

// normalise leaves the server's fields as they are.
func normalise(in *musterv1.Instance) {
	if in.Weight == nil {
		in.Weight = proto.Uint32(DefaultWeight)
	}
	if in.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_UNSPECIFIED {
		in.Lifecycle = musterv1.Lifecycle_LIFECYCLE_SERVING
	}
	for _, e := range in.GetEndpoints() {
		if e.GetProtocol() == musterv1.Protocol_PROTOCOL_UNSPECIFIED {
			e.Protocol = musterv1.Protocol_PROTOCOL_GRPC
		}
		if e.GetSecurity() == musterv1.TransportSecurity_TRANSPORT_SECURITY_UNSPECIFIED {
			e.Security = musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT
		}
	}
	slices.SortFunc(in.GetEndpoints(), func(a, b *musterv1.Endpoint) int { return strings.Compare(a.GetName(), b.GetName()) })
	slices.Sort(in.GetCapabilities())
	if in.GetLocality().GetRegion() == "" && in.GetLocality().GetZone() == "" {
		in.Locality = nil
	}
	if self := in.GetSelfHealth(); self != nil {
		self.Health = cmp.Or(self.GetHealth(), musterv1.Health_HEALTH_HEALTHY)
		if self.GetHealth() == musterv1.Health_HEALTH_HEALTHY && self.GetReason() == "" {
			in.SelfHealth = nil // unset means HEALTHY
		}
	}
}
