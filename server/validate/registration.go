package validate

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// DefaultTTL is the TTL of a lease if none is given.
	DefaultTTL = 15 * time.Second
	// DefaultDrainTimeout is how long a Drain waits if it does not say.
	DefaultDrainTimeout = 5 * time.Second
	// MaxDrainTimeout is the longest that a Drain may wait.
	MaxDrainTimeout = 10 * time.Minute
	// MaxLeaseIDBytes bounds a lease_id; those that servers make are shorter.
	MaxLeaseIDBytes = 128
)

// TTL is the TTL that an accepted Register asks for.
func TTL(d *durationpb.Duration) time.Duration { return durationOr(d, DefaultTTL) }

// DrainTimeout is how long an accepted Drain waits.
func DrainTimeout(d *durationpb.Duration) time.Duration { return durationOr(d, DefaultDrainTimeout) }

// Register checks a RegisterRequest.
func (v *Validator) Register(request *musterv1.RegisterRequest) error {
	var r report
	instances := request.GetInstances()
	switch {
	case len(instances) == 0:
		r.refuse(nil, "instances", "", "must hold at least one instance")
	case len(instances) > v.limits.InstancesPerLease:
		r.exceed(nil, "instances", "instances_per_lease", v.limits.InstancesPerLease, len(instances))
	default:
		v.checkInstances(&r, instances)
	}
	v.checkTTL(&r, request.GetTtl())
	r.checkSyntax(nil, "request_id", request.GetRequestId(), &requestIDSyntax)
	v.checkClaim(&r, request)
	return r.err()
}

func (v *Validator) checkInstances(r *report, instances []*musterv1.Instance) {
	for i, in := range instances {
		at := element(nil, "instances", i)
		v.instance(r, &at, in)
		for _, earlier := range instances[:i] {
			if in.GetInstanceId() == earlier.GetInstanceId() && in.GetService() == earlier.GetService() &&
				in.GetNamespace() == earlier.GetNamespace() {
				r.refuse(&at, "instance_id", in.GetInstanceId(), "is in the request twice; name each instance once")
				break
			}
		}
	}
}

func (v *Validator) checkTTL(r *report, d *durationpb.Duration) {
	ttl := TTL(d)
	if !isValid(d) || ttl < v.limits.MinTTL || ttl > v.limits.MaxTTL || ttl%time.Millisecond != 0 {
		r.refuse(nil, "ttl", ttl.String(),
			"must be "+v.limits.MinTTL.String()+" to "+v.limits.MaxTTL.String()+" in whole milliseconds; leave it unset for "+DefaultTTL.String())
	}
}

func (v *Validator) checkClaim(r *report, request *musterv1.RegisterRequest) {
	switch claim := request.GetClaim().(type) {
	case *musterv1.RegisterRequest_Previous:
		at := field(nil, "previous")
		checkLeaseID(r, &at, "lease_id", claim.Previous.GetLeaseId())
		if claim.Previous.GetEpoch() == 0 {
			r.refuse(&at, "epoch", "0", "must be the epoch that the lease was granted in")
		}
		if claim.Previous.GetIncarnation() == 0 {
			r.refuse(&at, "incarnation", "0", "must be the incarnation that the lease was granted with")
		}
	case *musterv1.RegisterRequest_TakeOver:
		if n := len(claim.TakeOver.GetIncarnations()); n < 1 || n > v.limits.InstancesPerLease {
			r.refuse(nil, "take_over.incarnations", strconv.Itoa(n),
				"is their number; name those that INSTANCE_EXISTS named, at most "+strconv.Itoa(v.limits.InstancesPerLease))
		}
	}
}

// checkLeaseID never repeats the value: it is a secret.
func checkLeaseID(r *report, at *path, name, id string) {
	if id == "" || len(id) > MaxLeaseIDBytes {
		r.refuse(at, name, "", "must be the lease_id that Register answered")
	}
}

// Update checks an UpdateRequest: its key, its mask and the fields that the
// mask names. What they make of the present instance is checked by
// [Validator.Merged].
func (v *Validator) Update(request *musterv1.UpdateRequest) error {
	var r report
	checkLeaseID(&r, nil, "lease_id", request.GetLeaseId())
	at := field(nil, "instance")
	in := request.GetInstance()
	checkKey(&r, &at, in.GetNamespace(), in.GetService(), in.GetInstanceId(), false)
	v.checkMask(&r, request)
	return r.err()
}

// checkKey checks the three parts of an instance's name.
func checkKey(r *report, at *path, namespace, service, id string, imported bool) {
	r.checkSyntax(at, "namespace", namespace, &namespaceSyntax)
	r.checkSyntax(at, "service", service, &serviceSyntax)
	switch {
	case imported && !AnyInstanceID(id):
		r.refuse(at, "instance_id", id, instanceIDSyntax.rule+"; for an imported one '@' and its region follow")
	case !imported:
		r.checkSyntax(at, "instance_id", id, &instanceIDSyntax)
	}
}

func (v *Validator) checkKeys(r *report, keys []*musterv1.InstanceKey) {
	if len(keys) > v.limits.InstancesPerLease {
		r.exceed(nil, "instances", "instances_per_lease", v.limits.InstancesPerLease, len(keys))
		return
	}
	for i, k := range keys {
		at := element(nil, "instances", i)
		checkKey(r, &at, k.GetNamespace(), k.GetService(), k.GetInstanceId(), false)
	}
}

// Deregister checks a DeregisterRequest.
func (v *Validator) Deregister(request *musterv1.DeregisterRequest) error {
	var r report
	checkLeaseID(&r, nil, "lease_id", request.GetLeaseId())
	v.checkKeys(&r, request.GetInstances())
	return r.err()
}

// Drain checks a DrainRequest.
func (v *Validator) Drain(request *musterv1.DrainRequest) error {
	var r report
	checkLeaseID(&r, nil, "lease_id", request.GetLeaseId())
	v.checkKeys(&r, request.GetInstances())
	timeout := DrainTimeout(request.GetTimeout())
	if !isValid(request.GetTimeout()) || timeout < 0 || timeout > MaxDrainTimeout {
		r.refuse(nil, "timeout", timeout.String(), "must be 0s to 10m0s; leave it unset for 5s")
	}
	return r.err()
}

// KeepAlive checks one request of a keepalive stream; previous is the sequence
// of the request before it, 0 for the first.
func (v *Validator) KeepAlive(request *musterv1.KeepAliveRequest, previous uint64) error {
	var r report
	if request.GetSequence() <= previous {
		r.refuse(nil, "sequence", strconv.FormatUint(request.GetSequence(), 10),
			"must be above that of the request before, "+strconv.FormatUint(previous, 10))
	}
	leases := request.GetLeaseIds()
	if len(leases) > v.limits.LeasesPerKeepalive {
		r.exceed(nil, "lease_ids", "leases_per_keepalive", v.limits.LeasesPerKeepalive, len(leases))
	} else {
		for i, id := range leases {
			at := element(nil, "lease_ids", i)
			checkLeaseID(&r, &at, "", id)
		}
	}
	for i, report := range request.GetReports() {
		at := element(nil, "reports", i)
		checkHealthReport(&r, &at, report, len(leases))
	}
	return r.err()
}

func checkHealthReport(r *report, at *path, h *musterv1.HealthReport, leases int) {
	if uint64(h.GetLeaseIndex()) >= uint64(leases) { //nolint:gosec // a length
		r.refuse(at, "lease_index", strconv.FormatUint(uint64(h.GetLeaseIndex()), 10),
			"must be a position in lease_ids, which has "+strconv.Itoa(leases))
	}
	key := field(at, "key")
	checkKey(r, &key, h.GetKey().GetNamespace(), h.GetKey().GetService(), h.GetKey().GetInstanceId(), false)
	if h.GetSelfHealth() == nil {
		r.refuse(at, "self_health", "", "must be set; report only what changed")
	}
	checkSelfHealth(r, at, "self_health", h.GetSelfHealth())
}
