package mustergrpc

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// Every text that users of this package read stands here, so that the Go and
// the Rust client say the same.

func targetError(target, problem string) *muster.Error {
	return dialError(target, problem+"; use muster:///namespace/service")
}

func dialError(target, problem string) *muster.Error {
	return &muster.Error{
		Reason: muster.ReasonInvalidArgument, Code: codes.InvalidArgument, Op: "dial", Subject: target,
		Message: fmt.Sprintf("target %s: %s", rules.Quote(target), problem),
	}
}

// unavailable is how a pick fails: always with UNAVAILABLE, because codes such
// as NOT_FOUND would be taken for the callee's.
func unavailable(reason muster.Reason, service muster.ServiceName, message string) *muster.Error {
	return &muster.Error{
		Reason: reason, Code: codes.Unavailable, Op: "pick", Subject: service.String(), Message: message,
	}
}

// leftOut is how texts tell of the steps of a plan that leave instances out, in
// this order.
var leftOut = []struct {
	why  rules.Why
	what string
}{
	{rules.WhyDraining, "draining"},
	{rules.WhyStarting, "starting"},
	{rules.WhyWeightless, "of weight 0"},
	{rules.WhyNoEndpoint, "without a gRPC endpoint"},
	{rules.WhyVersionShare, "of a version without a share"},
	{rules.WhyLocality, "too far away"},
	{rules.WhySubset, "for other clients"},
	{rules.WhyUnhealthy, "unhealthy"},
	{rules.WhyEjected, "ejected after failed calls"},
}

func textNoneServes(service muster.ServiceName, steps []rules.Why) string {
	counts := map[rules.Why]int{}
	for _, why := range steps {
		counts[why]++
	}
	var parts []string
	for _, p := range leftOut {
		if n := counts[p.why]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.what))
		}
	}
	noun := "instances"
	if len(steps) == 1 {
		noun = "instance"
	}
	return fmt.Sprintf("%s has %d %s, none takes requests: %s", service, len(steps), noun, strings.Join(parts, ", "))
}

func textNoInstance(service muster.ServiceName, id string, at muster.Position) string {
	return fmt.Sprintf("%s has no instance %s (epoch %d, revision %d)", service, rules.Quote(id), at.Epoch, at.Revision)
}

func textNotCalled(service muster.ServiceName, id string, step rules.Why) string {
	for _, p := range leftOut {
		if p.why == step {
			return fmt.Sprintf("instance %s of %s takes no requests: it is %s", rules.Quote(id), service, p.what)
		}
	}
	return fmt.Sprintf("instance %s of %s takes no requests: %s", rules.Quote(id), service, step)
}

func textInstanceAway(service muster.ServiceName, id, address, cause string) string {
	return fmt.Sprintf("instance %s of %s cannot be reached: %s: %s; still retrying", rules.Quote(id), service, address, cause)
}

func textNoReady(service muster.ServiceName, slots int, address, cause string) string {
	noun := "endpoints"
	if slots == 1 {
		noun = "endpoint"
	}
	return fmt.Sprintf("none of %d %s of %s can be reached: %s: %s; still retrying", slots, noun, service, address, cause)
}

func textPanic(service muster.ServiceName, healthy, total int) string {
	return fmt.Sprintf("%d of %d instances of %s are healthy, too few: health is ignored until more are",
		healthy, total, service)
}

func textOtherBalancer() string {
	return `the channel's service config selects another balancer; add {"loadBalancingConfig":[{"muster_v1":{}}]} to it`
}

func textNoTLS(address string) string {
	return fmt.Sprintf("endpoint %s asks for a certificate of the client; pass EndpointCredentials with one", address)
}
