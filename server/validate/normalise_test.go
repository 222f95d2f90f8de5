package validate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

func TestNormaliseFillsDefaultsAndClearsTheServersFields(t *testing.T) {
	in := &musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: "p1",
		Endpoints: []*musterv1.Endpoint{
			{Name: "grpc", Address: "h:1"},
			{Name: "admin", Address: "h:2", Protocol: musterv1.Protocol_PROTOCOL_HTTP, Security: musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS},
		},
		Capabilities: []string{"zip", "resume"}, Locality: &musterv1.Locality{}, SelfHealth: &musterv1.SelfHealth{},
		Health: 3, HealthSlots: []*musterv1.HealthSlot{{}}, Incarnation: 1, CreateRevision: 2, ModifyRevision: 3, Tag: 4,
		CreateTime: timestamppb.Now(), ModifyTime: timestamppb.Now(), Origin: &musterv1.Origin{Region: "eu"},
	}
	in.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	validate.Normalise(in)
	want := &musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: "p1",
		Endpoints: []*musterv1.Endpoint{
			{Name: "admin", Address: "h:2", Protocol: musterv1.Protocol_PROTOCOL_HTTP, Security: musterv1.TransportSecurity_TRANSPORT_SECURITY_TLS},
			{Name: "grpc", Address: "h:1", Protocol: musterv1.Protocol_PROTOCOL_GRPC, Security: musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT},
		},
		Weight: proto.Uint32(100), Lifecycle: musterv1.Lifecycle_LIFECYCLE_SERVING, Capabilities: []string{"resume", "zip"},
	}
	if diff := cmp.Diff(want, in, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// TestEveryServerFieldIsCleared finds fields that are added later and forgotten.
func TestEveryServerFieldIsCleared(t *testing.T) {
	in := &musterv1.Instance{}
	set := in.ProtoReflect()
	fields := set.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Number() < 16 {
			continue
		}
		if f.Message() != nil && !f.IsList() {
			set.Mutable(f)
		} else if f.IsList() {
			set.Mutable(f).List().AppendMutable()
		} else if f.Enum() != nil {
			in.Health = 2
		} else if f.Kind().String() == "fixed64" {
			in.Tag = 2
		} else {
			set.Set(f, set.NewField(f))
			in.Incarnation, in.CreateRevision, in.ModifyRevision = 1, 1, 1
		}
	}
	validate.Normalise(in)
	for i := range fields.Len() {
		if f := fields.Get(i); f.Number() >= 16 && set.Has(f) {
			t.Errorf("%s is still set", f.Name())
		}
	}
}

func TestNormaliseKeepsWhatWasSaid(t *testing.T) {
	in := typical()
	in.Weight, in.Lifecycle = proto.Uint32(0), musterv1.Lifecycle_LIFECYCLE_STARTING
	in.SelfHealth = &musterv1.SelfHealth{Reason: "warm"}
	validate.Normalise(in)
	if in.GetWeight() != 0 || in.GetLifecycle() != musterv1.Lifecycle_LIFECYCLE_STARTING ||
		in.GetSelfHealth().GetHealth() != musterv1.Health_HEALTH_HEALTHY || in.GetSelfHealth().GetReason() != "warm" {
		t.Errorf("normalised to %v", in)
	}
}

func TestNormaliseTwiceIsOnce(t *testing.T) {
	in := typical()
	validate.Normalise(in)
	once := proto.CloneOf(in)
	validate.Normalise(in)
	if diff := cmp.Diff(once, in, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
