package validate_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

// updatable are the fields that a mask may name, as the contract lists them.
var updatable = []string{
	"version", "endpoints", "locality", "weight", "lifecycle", "shard", "metadata", "capabilities", "schema_version", "checks", "self_health",
}

func TestUpdate(t *testing.T) {
	type m = *musterv1.UpdateRequest
	mask := func(paths ...string) func(m) {
		return func(r m) { r.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths} }
	}
	good := func() m {
		r := &musterv1.UpdateRequest{LeaseId: lease, Instance: typical()}
		mask(updatable...)(r)
		return r
	}
	check(t, good, everything.Update, []bound[m]{
		refused("no lease", "lease_id", func(r m) { r.LeaseId = "" }),
		refused("no mask", "update_mask", func(r m) { r.UpdateMask = nil }),
		refused("empty mask", "update_mask", mask()),
		refused("key", "update_mask.paths[1]", mask("weight", "namespace")),
		refused("part of a field", "update_mask.paths[0]", mask("locality.zone")),
		refused("star", "update_mask.paths[0]", mask("*")),
		refused("camel case", "update_mask.paths[0]", mask("selfHealth")),
		refused("server's field", "update_mask.paths[0]", mask("health")),
		refused("endless mask", "update_mask", mask(slices.Repeat([]string{"weight"}, 65)...)),
		accepted("repeated", mask("weight", "weight")),
		refused("bad key", "instance.service", func(r m) { r.Instance.Service = "" }),
		refused("imported", "instance.instance_id", func(r m) { r.Instance.InstanceId = "p@eu" }),
		refused("bad value", "instance.weight", func(r m) { r.Instance.Weight = proto.Uint32(1 << 30) }),
		{"bad address", func(r m) { r.Instance.Endpoints[0].Address = "x" }, "instance.endpoints[0].address", invalidEndpoint},
		accepted("bad value outside the mask", func(r m) {
			mask("weight")(r)
			r.Instance.Version, r.Instance.Lifecycle = "nonsense", 77
		}),
	})
}

// changes gives, for each updatable field, an instance in which that field is bad.
func TestUpdateChecksEachMaskedField(t *testing.T) {
	bad := &musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: "p1", Version: "x", Endpoints: []*musterv1.Endpoint{{Address: "a:1"}},
		Locality: &musterv1.Locality{Zone: string(make([]byte, 64))}, Weight: proto.Uint32(1 << 30), Lifecycle: 9, Shard: &musterv1.Shard{},
		Metadata: map[string]string{"": ""}, Capabilities: []string{""}, Checks: []*musterv1.HealthCheck{{Endpoint: "x"}},
		SelfHealth: &musterv1.SelfHealth{Health: 9},
	}
	for _, name := range updatable {
		err := everything.Update(&musterv1.UpdateRequest{LeaseId: lease, Instance: bad, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{name}}})
		if (err == nil) != (name == "schema_version") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApplySetsWhatTheMaskNamesAndNothingElse(t *testing.T) {
	current := typical()
	validate.Normalise(current)
	current.Health, current.Tag, current.ModifyRevision = musterv1.Health_HEALTH_DEGRADED, 7, 9
	update := &musterv1.Instance{
		Namespace: "other", Service: "other", InstanceId: "other", Version: "9.9.9",
		Endpoints: []*musterv1.Endpoint{{Name: "z", Address: "h:1"}, {Name: "a", Address: "h:2"}},
		Locality:  &musterv1.Locality{Region: "us"}, Weight: proto.Uint32(1), Lifecycle: musterv1.Lifecycle_LIFECYCLE_STARTING,
		Shard: shardIDs(1), Metadata: map[string]string{"k": "v"}, Capabilities: []string{"b", "a"}, SchemaVersion: 4,
		Checks: []*musterv1.HealthCheck{{Endpoint: "a"}}, SelfHealth: &musterv1.SelfHealth{Health: musterv1.Health_HEALTH_UNHEALTHY},
		Health: musterv1.Health_HEALTH_UNHEALTHY, Tag: 1, ModifyRevision: 1,
	}
	before, beforeUpdate := proto.CloneOf(current), proto.CloneOf(update)
	description := current.ProtoReflect().Descriptor().Fields()
	for _, name := range updatable {
		out := validate.Apply(current, update, &fieldmaskpb.FieldMask{Paths: []string{name}})
		for i := range description.Len() {
			f := description.Get(i)
			same := out.ProtoReflect().Get(f).Equal(current.ProtoReflect().Get(f))
			if same == (string(f.Name()) == name) {
				t.Errorf("mask %s: field %s unchanged: %v", name, f.Name(), same)
			}
		}
	}
	if !proto.Equal(before, current) || !proto.Equal(beforeUpdate, update) {
		t.Error("Apply changed its arguments")
	}
}

func TestApplyClearsAndFillsDefaults(t *testing.T) {
	current := typical()
	validate.Normalise(current)
	got := validate.Apply(current, nil, &fieldmaskpb.FieldMask{Paths: updatable})
	want := &musterv1.Instance{
		Namespace: current.GetNamespace(), Service: current.GetService(), InstanceId: current.GetInstanceId(),
		Weight: proto.Uint32(100), Lifecycle: musterv1.Lifecycle_LIFECYCLE_SERVING,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestApplyOfEqualValuesChangesNothing(t *testing.T) {
	current := typical()
	validate.Normalise(current)
	same := typical()
	slices.Reverse(same.GetCapabilities())
	slices.Reverse(same.GetEndpoints())
	got := validate.Apply(current, same, &fieldmaskpb.FieldMask{Paths: updatable})
	if diff := cmp.Diff(current, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestMergedChecksAcrossFields(t *testing.T) {
	in := typical()
	in.Lifecycle = musterv1.Lifecycle_LIFECYCLE_DRAINING
	if err := everything.Merged(in); err != nil {
		t.Errorf("draining: %v", err)
	}
	in.Checks = []*musterv1.HealthCheck{{Endpoint: "gone"}}
	if got := fields(t, everything.Merged(in)); !slices.Equal(got, []string{"instance.checks[0].endpoint"}) {
		t.Errorf("refuses %q", got)
	}
	limits := validate.DefaultLimits()
	limits.InstanceBytes = 10
	if err := validate.New(limits).Merged(typical()); reasonOf(err) != limitExceeded {
		t.Errorf("size: %v", err)
	}
}
