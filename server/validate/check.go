package validate

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// The contract's bounds of health checks.
const (
	// MaxChecks bounds the checks of an instance.
	MaxChecks = 16
	// MinCheckInterval and MaxCheckInterval bound the time between checks.
	MinCheckInterval = time.Second
	MaxCheckInterval = 5 * time.Minute
	// DefaultCheckInterval is the time between checks if none is given.
	DefaultCheckInterval = 10 * time.Second
	// DefaultCheckTimeout is the time for one check if none is given.
	DefaultCheckTimeout = time.Second
	maxCheckPathBytes   = 1_024
)

// checkHealthChecks checks nothing more if the server runs no checks at all:
// the one thing to mend then is to leave them out.
func (v *Validator) checkHealthChecks(r *report, at *path, checks []*musterv1.HealthCheck) {
	if len(checks) == 0 {
		return
	}
	if !v.served[FeatureChecks] {
		r.notServed(at, "checks", FeatureChecks)
		return
	}
	if len(checks) > MaxChecks {
		r.refuse(at, "checks", strconv.Itoa(len(checks)), "is their number, which must be at most 16")
		return
	}
	for i, c := range checks {
		in := element(at, "checks", i)
		checkHealthCheck(r, &in, c)
	}
}

func checkHealthCheck(r *report, at *path, c *musterv1.HealthCheck) {
	switch kind := c.GetKind().(type) {
	case nil:
		r.refuse(at, "kind", "", "must be set: grpc, http or tcp")
	case *musterv1.HealthCheck_Http:
		p := kind.Http.GetPath()
		if !strings.HasPrefix(p, "/") || len(p) > maxCheckPathBytes || !isVisible(p) {
			r.refuse(at, "http.path", p, "must begin with '/' and be at most 1024 visible ASCII characters")
		}
	case *musterv1.HealthCheck_Grpc:
		if s := kind.Grpc.GetService(); len(s) > maxCheckPathBytes {
			r.refuse(at, "grpc.service", s, "must be at most 1024 bytes")
		}
	}
	interval, timeout := CheckInterval(c), CheckTimeout(c)
	if !isValid(c.GetInterval()) || interval < MinCheckInterval || interval > MaxCheckInterval {
		r.refuse(at, "interval", interval.String(), "must be 1s to 5m0s; leave it unset for 10s")
	}
	if !isValid(c.GetTimeout()) || timeout <= 0 || timeout > interval {
		r.refuse(at, "timeout", timeout.String(), "must be above 0 and at most the interval; leave it unset for 1s")
	}
}

// checkCheckedEndpoints checks that each check names an endpoint.
func checkCheckedEndpoints(r *report, at *path, in *musterv1.Instance) {
	for i, c := range in.GetChecks() {
		if i >= MaxChecks {
			return
		}
		if !hasEndpoint(in, c.GetEndpoint()) {
			p := element(at, "checks", i)
			r.refuse(&p, "endpoint", c.GetEndpoint(), "must be the name of an endpoint of the instance")
		}
	}
}

func hasEndpoint(in *musterv1.Instance, name string) bool {
	for _, e := range in.GetEndpoints() {
		if e.GetName() == name {
			return true
		}
	}
	return false
}

// CheckInterval is the time between two runs of a check.
func CheckInterval(c *musterv1.HealthCheck) time.Duration {
	return durationOr(c.GetInterval(), DefaultCheckInterval)
}

// CheckTimeout is the time that one run of a check may take.
func CheckTimeout(c *musterv1.HealthCheck) time.Duration {
	return durationOr(c.GetTimeout(), DefaultCheckTimeout)
}

func durationOr(d *durationpb.Duration, unset time.Duration) time.Duration {
	if d == nil {
		return unset
	}
	return d.AsDuration()
}

// isValid accepts an unset duration too.
func isValid(d *durationpb.Duration) bool { return d == nil || d.IsValid() }

func isVisible(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
