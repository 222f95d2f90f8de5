package mustergrpc

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go"
)

// Every text that users of this package read stands here, so that the Go and
// the Rust client say the same.

func targetError(target, problem string) *muster.Error {
	return dialError(target, problem+"; use muster:///namespace/service")
}

func dialError(target, problem string) *muster.Error {
	return &muster.Error{
		Reason: muster.ReasonInvalidArgument, Code: codes.InvalidArgument, Op: "dial", Subject: target,
		Message: fmt.Sprintf("target %q: %s", target, problem),
	}
}

// unavailable is how a pick fails: always with UNAVAILABLE, because codes such
// as NOT_FOUND would be taken for the callee's.
func unavailable(reason muster.Reason, service muster.ServiceName, message string) *muster.Error {
	return &muster.Error{
		Reason: reason, Code: codes.Unavailable, Op: "pick", Subject: service.String(), Message: message,
	}
}

func textNoneServes(service muster.ServiceName, total, draining, starting, weightless, undialable int) string {
	var parts []string
	for _, p := range []struct {
		count int
		what  string
	}{{draining, "draining"}, {starting, "starting"}, {weightless, "of weight 0"}, {undialable, "without a gRPC endpoint"}} {
		if p.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.count, p.what))
		}
	}
	noun := "instances"
	if total == 1 {
		noun = "instance"
	}
	return fmt.Sprintf("%s has %d %s, none takes requests: %s", service, total, noun, strings.Join(parts, ", "))
}

func textNoReady(service muster.ServiceName, slots int, address, cause string) string {
	noun := "endpoints"
	if slots == 1 {
		noun = "endpoint"
	}
	return fmt.Sprintf("none of %d %s of %s can be reached: %s: %s; still retrying", slots, noun, service, address, cause)
}

func textPanic(service muster.ServiceName, healthy, total int) string {
	return fmt.Sprintf("%d of %d instances of %s are healthy, fewer than half: health is ignored until more are",
		healthy, total, service)
}

func textOtherBalancer() string {
	return `the channel's service config selects another balancer; add {"loadBalancingConfig":[{"muster_v1":{}}]} to it`
}

func textNoTLS(address string) string {
	return fmt.Sprintf("endpoint %s asks for a certificate of the client; pass EndpointCredentials with one", address)
}
