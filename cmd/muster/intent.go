package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/config/similar"
)

const (
	// similarLimit is how many services are looked at for a similar name.
	similarLimit = 1_000
	// similarShown is how many of them are named.
	similarShown = 3
)

// whyEmpty says why a lookup of one service found no instance.
func whyEmpty(ctx context.Context, r *registry, name *musterv1.ServiceName, res *musterv1.LookupResponse, filtered bool) *failure {
	for _, f := range res.GetForbidden() {
		if serviceName(f) == serviceName(name) {
			return fail(exitRefused, "%s may not be seen with these credentials [FORBIDDEN]", serviceName(name))
		}
	}
	if len(res.GetServices()) == 0 {
		return fail(exitNotFound, "%s [SERVICE_UNKNOWN]", neverSeenText(name, res.GetHeader(), similarServices(ctx, r, name)))
	}
	if e := res.GetServices()[0].GetEmptied(); e != nil {
		return fail(exitNotFound, "%s [NO_INSTANCES]", emptiedText(name, e, time.Now()))
	}
	if filtered {
		return fail(exitNotFound, "%s has instances, but none that was asked for [NO_INSTANCES]", serviceName(name))
	}
	return fail(exitNotFound, "%s has no instances: the last one went a moment ago [NO_INSTANCES]", serviceName(name))
}

func neverSeenText(name *musterv1.ServiceName, h *musterv1.ViewHeader, like []string) string {
	text := fmt.Sprintf("service %q has never been registered (epoch %d, revision %d)",
		serviceName(name), h.GetEpoch(), h.GetRevision())
	if len(like) > 0 {
		text += "; similar: " + strings.Join(like, ", ")
	}
	return text
}

// similarServices are services that may have been meant. They help, so a
// server that does not want to list is no reason to fail.
func similarServices(ctx context.Context, r *registry, name *musterv1.ServiceName) []string {
	res, err := r.ListServices(ctx, &musterv1.ListServicesRequest{PageSize: similarLimit})
	if err != nil {
		return nil
	}
	names := make([]string, len(res.GetServices()))
	for i, s := range res.GetServices() {
		names[i] = serviceName(s.GetState())
	}
	return similar.Names(serviceName(name), names, similarShown)
}

func emptiedText(name interface {
	GetNamespace() string
	GetService() string
}, e *musterv1.Emptied, now time.Time,
) string {
	when := ""
	if t := e.GetTime(); t != nil {
		when = " just now"
		if d := now.Sub(t.AsTime()); d >= time.Second {
			when = " " + seconds(d) + " ago"
		}
	}
	return fmt.Sprintf("%s has no instances: the last one %s%s (%s, revision %d)",
		serviceName(name), removalVerb(e.GetReason()), when, e.GetInstanceId(), e.GetRevision())
}

// removalVerb is a reason as part of a sentence.
func removalVerb(r musterv1.RemovalReason) string {
	switch r {
	case musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED:
		return "deregistered"
	case musterv1.RemovalReason_REMOVAL_REASON_EXPIRED:
		return "expired"
	case musterv1.RemovalReason_REMOVAL_REASON_ORIGIN_LOST:
		return "was withdrawn by its region"
	default:
		return "went"
	}
}
