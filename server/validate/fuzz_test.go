package validate_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/validate"
)

// FuzzInstance checks that an accepted instance stays accepted through its
// normal form, the wire and an update that repeats it.
func FuzzInstance(f *testing.F) {
	sharded := typical()
	sharded.Shard = shardIDs(1, 2)
	sharded.Checks = []*musterv1.HealthCheck{{Endpoint: "grpc", Kind: &musterv1.HealthCheck_Tcp{Tcp: &musterv1.TcpHealthCheck{}}}}
	for _, seed := range []*musterv1.Instance{typical(), sharded, {}} {
		wire, err := proto.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		in := &musterv1.Instance{}
		if proto.Unmarshal(wire, in) != nil {
			return
		}
		if everything.Instance(in) != nil {
			return
		}
		validate.Normalise(in)
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
		if err != nil {
			t.Fatalf("an accepted instance does not encode: %v", err)
		}
		again := &musterv1.Instance{}
		if err := proto.Unmarshal(wire, again); err != nil || !proto.Equal(in, again) {
			t.Fatalf("round trip changed %v to %v (%v)", in, again, err)
		}
		if err := everything.Instance(again); err != nil {
			t.Fatalf("the normal form is refused: %v", err)
		}
		limits := validate.DefaultLimits()
		limits.InstanceBytes = len(wire)
		if err := validate.New(limits, validate.AllFeatures()...).Instance(in); err != nil {
			t.Fatalf("%d bytes are refused for their size: %v", len(wire), err)
		}
		limits.InstanceBytes--
		if err := validate.New(limits, validate.AllFeatures()...).Instance(in); reasonOf(err) != limitExceeded {
			t.Fatalf("%d bytes are above the limit, but accepted: %v", len(wire), err)
		}
		updated := validate.Apply(in, again, &fieldmaskpb.FieldMask{Paths: updatable})
		if !proto.Equal(in, updated) {
			t.Fatalf("an update of nothing changed %v to %v", in, updated)
		}
	})
}

// FuzzRequests checks that no request makes a check panic, and that whatever
// selector is accepted compiles.
func FuzzRequests(f *testing.F) {
	for i, m := range []proto.Message{
		register(typical()), &musterv1.UpdateRequest{LeaseId: lease, Instance: typical(), UpdateMask: &fieldmaskpb.FieldMask{Paths: updatable}},
		&musterv1.KeepAliveRequest{Sequence: 1, LeaseIds: []string{lease}}, &musterv1.WatchRequest{Subscriptions: subscriptions(2)},
		&musterv1.LookupRequest{Selector: plain()}, goodOverride(),
	} {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), wire) //nolint:gosec // small
	}
	f.Fuzz(func(t *testing.T, kind uint8, wire []byte) {
		judge := judges[int(kind)%len(judges)]
		m, check := judge()
		if proto.Unmarshal(wire, m) != nil {
			return
		}
		if err := check(); err != nil && (err.Error() == "" || len(fields(t, err)) == 0) {
			t.Fatalf("an error without text or violation: %#v", err)
		}
		if lookup, ok := m.(*musterv1.LookupRequest); ok && check() == nil {
			if _, err := selector.Compile(lookup.GetSelector()); err != nil {
				t.Fatalf("an accepted selector does not compile: %v", err)
			}
		}
	})
}

// judge makes one empty request and the check of it.
func judge[M any, P interface {
	*M
	proto.Message
}](check func(P) error) func() (proto.Message, func() error) {
	return func() (proto.Message, func() error) {
		m := P(new(M))
		return m, func() error { return check(m) }
	}
}

var judges = []func() (proto.Message, func() error){
	judge(everything.Register), judge(everything.Update),
	judge(func(r *musterv1.KeepAliveRequest) error { return everything.KeepAlive(r, 0) }),
	judge(everything.Watch), judge(everything.Lookup), judge(everything.SetOverride),
	judge(everything.Deregister), judge(everything.Drain), judge(everything.ListServices), judge(everything.UpdateWatch),
	judge(everything.AckWatch), judge(everything.ReportOutcomes), judge(everything.DeleteOverride), judge(everything.ListOverrides),
	judge(everything.SetTrafficPolicy), judge(everything.SetHold),
}

// TestEmptyAndNilRequestsDoNotPanic runs every check without fuzzing.
func TestEmptyAndNilRequestsDoNotPanic(t *testing.T) {
	for _, make := range judges {
		m, check := make()
		if err := check(); err == nil {
			switch m.(type) {
			case *musterv1.ListServicesRequest, *musterv1.ListOverridesRequest, *musterv1.ReportOutcomesRequest:
			default:
				t.Errorf("an empty %T is accepted", m)
			}
		}
	}
	if everything.Register(nil) == nil || everything.Selector(nil) == nil || everything.Instance(nil) == nil {
		t.Error("nil is accepted")
	}
}
