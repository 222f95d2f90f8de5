package validate

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const maskRule = "must be one of version, endpoints, locality, weight, lifecycle, shard, metadata, capabilities, schema_version, checks and self_health, each as a whole"

// maxMaskPaths bounds a mask; there are eleven fields, and repeats mean nothing.
const maxMaskPaths = 64

// checkMask checks an update's mask, and the fields that it names.
func (v *Validator) checkMask(r *report, request *musterv1.UpdateRequest) {
	paths := request.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		r.refuse(nil, "update_mask", "", "must name at least one field; it "+maskRule)
		return
	}
	if len(paths) > maxMaskPaths {
		r.refuse(nil, "update_mask", "", "must name each field once; it "+maskRule)
		return
	}
	at := field(nil, "instance")
	for i, p := range paths {
		if !v.maskedField(r, &at, request.GetInstance(), p) {
			in := element(nil, "update_mask.paths", i)
			r.refuse(&in, "", p, maskRule)
		}
	}
}

// maskedField checks one field of an update; false if it may not be updated.
func (v *Validator) maskedField(r *report, at *path, in *musterv1.Instance, name string) bool {
	switch name {
	case "version":
		checkVersion(r, at, in.GetVersion())
	case "endpoints":
		checkEndpoints(r, at, in.GetEndpoints())
	case "locality":
		checkLocality(r, at, in.GetLocality())
	case "weight":
		checkWeight(r, at, in)
	case "lifecycle":
		checkLifecycle(r, at, in.GetLifecycle())
	case "shard":
		checkShard(r, at, in.GetShard())
	case "metadata":
		checkMetadata(r, at, in.GetMetadata())
	case "capabilities":
		checkCapabilities(r, at, in.GetCapabilities())
	case "schema_version":
	case "checks":
		v.checkHealthChecks(r, at, in.GetChecks())
	case "self_health":
		checkSelfHealth(r, at, "self_health", in.GetSelfHealth())
	default:
		return false
	}
	return true
}

// Apply returns the instance as an accepted update makes it, in the form of
// [Normalise]; the server's fields stay as they are. Neither argument is
// changed. Check the result with [Validator.Merged] before it is stored.
func Apply(current, update *musterv1.Instance, mask *fieldmaskpb.FieldMask) *musterv1.Instance {
	out := proto.CloneOf(current)
	from := proto.CloneOf(update)
	if from == nil {
		from = &musterv1.Instance{}
	}
	for _, p := range mask.GetPaths() {
		copyField(out, from, p)
	}
	normalise(out)
	return out
}

func copyField(to, from *musterv1.Instance, name string) {
	switch name {
	case "version":
		to.Version = from.GetVersion()
	case "endpoints":
		to.Endpoints = from.GetEndpoints()
	case "locality":
		to.Locality = from.GetLocality()
	case "weight":
		to.Weight = from.Weight
	case "lifecycle":
		to.Lifecycle = from.GetLifecycle()
	case "shard":
		to.Shard = from.GetShard()
	case "metadata":
		to.Metadata = from.GetMetadata()
	case "capabilities":
		to.Capabilities = from.GetCapabilities()
	case "schema_version":
		to.SchemaVersion = from.GetSchemaVersion()
	case "checks":
		to.Checks = from.GetChecks()
	case "self_health":
		to.SelfHealth = from.GetSelfHealth()
	}
}

// Merged checks what an update can break in fields that it does not name:
// checks that name an endpoint which is gone, and the size of the whole.
func (v *Validator) Merged(in *musterv1.Instance) error {
	var r report
	at := field(nil, "instance")
	v.whole(&r, &at, in)
	return r.err()
}
