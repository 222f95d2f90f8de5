package mustertest

import (
	"regexp"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/muster-registry/muster/client-go/internal/seam"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// The defaults and bounds of docs/protocol.md, section 11, that the client does
// not check for its user.
const (
	defaultTTL          = 15 * time.Second
	minTTL              = time.Second
	maxTTL              = time.Hour
	defaultDrainTimeout = 5 * time.Second
	maxDrainTimeout     = 10 * time.Minute
	defaultPageSize     = 100
	maxPageSize         = 1_000

	maxInstancesPerLease   = 40
	maxSubscriptions       = 1_000
	maxServicesPerSelector = 1_000
	maxLookupInstances     = 10_000
	maxLeasesPerKeepalive  = 1_024
)

func limits() *musterv1.Limits {
	return &musterv1.Limits{
		SubscriptionsPerStream: maxSubscriptions,
		ServicesPerSelector:    maxServicesPerSelector,
		InstancesPerLease:      maxInstancesPerLease,
		LookupInstances:        maxLookupInstances,
		RequestBytes:           4 << 20,
		InstanceBytes:          64 << 10,
		MinTtl:                 durationpb.New(minTTL),
		MaxTtl:                 durationpb.New(maxTTL),
		StreamsPerConnection:   100,
		LeasesPerKeepalive:     maxLeasesPerKeepalive,
	}
}

var requestID = regexp.MustCompile(`^[a-zA-Z0-9-]{16,64}$`)

// checkRegister checks a request, and gives its instances in the form in which
// they are stored, and the TTL.
func checkRegister(req *musterv1.RegisterRequest) ([]*musterv1.Instance, time.Duration, error) {
	ttl, err := duration("ttl", req.GetTtl(), defaultTTL, minTTL, maxTTL)
	if err != nil {
		return nil, 0, err
	}
	if !requestID.MatchString(req.GetRequestId()) {
		return nil, 0, invalid("request_id: %q must be 16 to 64 of a-z, A-Z, 0-9 and '-'", req.GetRequestId())
	}
	if len(req.GetInstances()) == 0 {
		return nil, 0, invalid("instances: must hold at least one instance")
	}
	if err := atMost("instances_per_lease", maxInstancesPerLease, len(req.GetInstances())); err != nil {
		return nil, 0, err
	}
	var instances []*musterv1.Instance
	for _, given := range req.GetInstances() {
		i, err := checkInstance(given)
		if err != nil {
			return nil, 0, err
		}
		if slices.ContainsFunc(instances, func(o *musterv1.Instance) bool { return nameOf(o) == nameOf(i) }) {
			return nil, 0, invalid("instances: %s is in the request twice; name each instance once", nameOf(i))
		}
		instances = append(instances, i)
	}
	return instances, ttl, nil
}

// checkInstance checks an instance, and gives it in the form in which it is
// stored.
func checkInstance(given *musterv1.Instance) (*musterv1.Instance, error) {
	if given.GetInstanceId() == "" {
		return nil, invalid("instance_id: \"\" must be 1 to 128 bytes")
	}
	if len(given.GetChecks()) > 0 {
		return nil, notServed("checks")
	}
	i, err := seam.Normalise(given)
	if err != nil {
		return nil, refused(err)
	}
	return i, nil
}

func notServed(feature string) error {
	return refuse(musterv1.ErrorReason_ERROR_REASON_FEATURE_NOT_SERVED,
		"this needs the feature \""+feature+"\", which a test registry does not serve", "feature", feature)
}

// duration reads a duration in whole milliseconds, within bounds.
func duration(field string, given *durationpb.Duration, unset, least, most time.Duration) (time.Duration, error) {
	if given == nil {
		return unset, nil
	}
	d := given.AsDuration()
	if given.CheckValid() != nil || d < least || d > most || d%time.Millisecond != 0 {
		return 0, invalid("%s: %v must be %v to %v in whole milliseconds", field, d, least, most)
	}
	return d, nil
}

func atMost(limit string, maximum, value int) error {
	if value <= maximum {
		return nil
	}
	return refuse(musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED, limit+" is exceeded",
		"limit", limit, "maximum", decimal(maximum), "value", decimal(value))
}
