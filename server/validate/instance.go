package validate

import (
	"bytes"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector/semver"
)

// The contract's bounds of an instance.
const (
	// MaxEndpoints bounds the endpoints of an instance.
	MaxEndpoints = 16
	// MaxWeight is the greatest weight.
	MaxWeight = 1_000_000
	// MaxMetadataKeys bounds the metadata keys of an instance.
	MaxMetadataKeys = 64
	// MaxMetadataBytes bounds the metadata keys and values of an instance together.
	MaxMetadataBytes = 16 << 10
	// MaxCapabilities bounds the capabilities of an instance.
	MaxCapabilities = 64
	// MaxLocalityBytes bounds a region's and a zone's name.
	MaxLocalityBytes = 63
	// MaxShardIDs bounds the shard numbers of an instance.
	MaxShardIDs = 1_024
	// MaxReasonBytes bounds a reason that is given for people.
	MaxReasonBytes = 256
)

// Instance checks an instance as a process registers it. Fields that only the
// server sets are not looked at; see [Normalise].
func (v *Validator) Instance(in *musterv1.Instance) error {
	var r report
	v.instance(&r, nil, in)
	return r.err()
}

func (v *Validator) instance(r *report, at *path, in *musterv1.Instance) {
	if in == nil {
		r.refuse(at, "", "", "must be set")
		return
	}
	r.checkSyntax(at, "namespace", in.GetNamespace(), &namespaceSyntax)
	r.checkSyntax(at, "service", in.GetService(), &serviceSyntax)
	r.checkSyntax(at, "instance_id", in.GetInstanceId(), &instanceIDSyntax)
	checkVersion(r, at, in.GetVersion())
	checkEndpoints(r, at, in.GetEndpoints())
	checkLocality(r, at, in.GetLocality())
	checkWeight(r, at, in)
	checkLifecycle(r, at, in.GetLifecycle())
	checkShard(r, at, in.GetShard())
	checkMetadata(r, at, in.GetMetadata())
	checkCapabilities(r, at, in.GetCapabilities())
	v.checkHealthChecks(r, at, in.GetChecks())
	checkSelfHealth(r, at, "self_health", in.GetSelfHealth())
	v.whole(r, at, in)
}

// whole checks what concerns several fields at once.
func (v *Validator) whole(r *report, at *path, in *musterv1.Instance) {
	if v.served[FeatureChecks] {
		checkCheckedEndpoints(r, at, in)
	}
	if size := instanceSize(in); size > v.limits.InstanceBytes {
		r.exceed(at, "", "instance_bytes", v.limits.InstanceBytes, size)
	}
}

// instanceSize is the encoded size of what the registrant says: what it may
// not say is not stored. The map is counted here, since the encoder allocates
// for each of its keys; field numbers below 16 take one byte.
func instanceSize(in *musterv1.Instance) int {
	size := proto.Size(&musterv1.Instance{
		Namespace: in.GetNamespace(), Service: in.GetService(), InstanceId: in.GetInstanceId(), Version: in.GetVersion(),
		Endpoints: in.GetEndpoints(), Locality: in.GetLocality(), Weight: in.Weight, Lifecycle: in.GetLifecycle(), Shard: in.GetShard(),
		Capabilities: in.GetCapabilities(), SchemaVersion: in.GetSchemaVersion(), Checks: in.GetChecks(), SelfHealth: in.GetSelfHealth(),
	})
	for key, value := range in.GetMetadata() {
		size += 1 + protowire.SizeBytes(1+protowire.SizeBytes(len(key))+1+protowire.SizeBytes(len(value)))
	}
	return size
}

func checkVersion(r *report, at *path, version string) {
	if version == "" {
		return
	}
	if _, err := semver.Parse(version); err != nil {
		r.refuse(at, "version", version, err.Error())
	}
}

func checkLocality(r *report, at *path, locality *musterv1.Locality) {
	in := field(at, "locality")
	checkPlace(r, &in, "region", locality.GetRegion())
	checkPlace(r, &in, "zone", locality.GetZone())
}

func checkPlace(r *report, at *path, name, value string) {
	if len(value) > MaxLocalityBytes {
		r.refuse(at, name, value, "must be at most 63 bytes")
	}
}

func checkWeight(r *report, at *path, in *musterv1.Instance) {
	if weight := in.GetWeight(); weight > MaxWeight {
		r.refuse(at, "weight", strconv.FormatUint(uint64(weight), 10), "must be at most 1000000")
	}
}

func checkLifecycle(r *report, at *path, lifecycle musterv1.Lifecycle) {
	switch lifecycle {
	case musterv1.Lifecycle_LIFECYCLE_UNSPECIFIED, musterv1.Lifecycle_LIFECYCLE_STARTING, musterv1.Lifecycle_LIFECYCLE_SERVING:
	case musterv1.Lifecycle_LIFECYCLE_DRAINING:
		r.refuse(at, "lifecycle", lifecycle.String(), "is set by Drain only; call Drain, or set STARTING or SERVING")
	default:
		r.refuse(at, "lifecycle", lifecycle.String(), "must be STARTING or SERVING")
	}
}

func checkShard(r *report, at *path, shard *musterv1.Shard) {
	if shard == nil {
		return
	}
	in := field(at, "shard")
	switch kind := shard.GetKind().(type) {
	case *musterv1.Shard_KeyRange:
		start, end := kind.KeyRange.GetStart(), kind.KeyRange.GetEnd()
		if len(end) > 0 && bytes.Compare(start, end) >= 0 {
			r.refuse(&in, "key_range", "", "must hold a key: end must be after start, or empty for past the highest")
		}
	case *musterv1.Shard_ShardIds:
		ids := kind.ShardIds.GetIds()
		if len(ids) < 1 || len(ids) > MaxShardIDs {
			r.refuse(&in, "shard_ids.ids", strconv.Itoa(len(ids)), "is their number, which must be 1 to 1024")
		}
		if !slices.IsSorted(ids) || hasRepeat(ids) {
			r.refuse(&in, "shard_ids.ids", "", "must be ascending, each number once")
		}
	default:
		r.refuse(at, "shard", "", "must be a key_range or shard_ids; leave shard unset for all keys")
	}
}

// hasRepeat tells whether an ascending list holds a number twice.
func hasRepeat(ids []uint32) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			return true
		}
	}
	return false
}

func checkMetadata(r *report, at *path, metadata map[string]string) {
	size, bad := 0, false
	for key, value := range metadata {
		size += len(key) + len(value)
		bad = bad || !keySyntax.allows(key)
	}
	if bad {
		reportKeys(r, at, metadata)
	}
	if len(metadata) > MaxMetadataKeys {
		r.refuse(at, "metadata", strconv.Itoa(len(metadata)), "is the number of keys, which must be at most 64")
	}
	if size > MaxMetadataBytes {
		r.refuse(at, "metadata", strconv.Itoa(size), "is the number of bytes of all keys and values, which must be at most 16384")
	}
}

// reportKeys reports keys in order, so that equal requests get equal errors.
func reportKeys(r *report, at *path, metadata map[string]string) {
	keys := make([]string, 0, len(metadata))
	for key := range metadata {
		if !keySyntax.allows(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		r.refuse(at, "metadata["+strconv.Quote(shown(key))+"]", key, "is a key, which "+keySyntax.rule)
	}
}

func checkCapabilities(r *report, at *path, capabilities []string) {
	if len(capabilities) > MaxCapabilities {
		r.refuse(at, "capabilities", strconv.Itoa(len(capabilities)), "is their number, which must be at most 64")
		return
	}
	for i, name := range capabilities {
		in := element(at, "capabilities", i)
		r.checkSyntax(&in, "", name, &keySyntax)
		if slices.Contains(capabilities[:i], name) {
			r.refuse(&in, "", name, "occurs twice; name each capability once")
		}
	}
}

func checkSelfHealth(r *report, at *path, name string, self *musterv1.SelfHealth) {
	in := field(at, name)
	checkHealth(r, &in, "health", self.GetHealth())
	if reason := self.GetReason(); len(reason) > MaxReasonBytes {
		r.refuse(&in, "reason", reason, "must be at most 256 bytes")
	}
}

// checkHealth accepts the unset value, which means HEALTHY.
func checkHealth(r *report, at *path, name string, health musterv1.Health) {
	if health < musterv1.Health_HEALTH_UNSPECIFIED || health > musterv1.Health_HEALTH_UNHEALTHY {
		r.refuse(at, name, health.String(), "must be HEALTHY, DEGRADED or UNHEALTHY")
	}
}
