package mustertest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// readWait is how long a read waits for a revision to come.
const readWait = 2 * time.Second

// discovery is DiscoveryService.
type discovery struct {
	musterv1.UnimplementedDiscoveryServiceServer
	*Registry
}

// Lookup implements the contract. One registry is always its newest, so that
// LINEARIZABLE asks for nothing more.
func (r discovery) Lookup(ctx context.Context, req *musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
	sel, err := compile(req.GetSelector())
	if err != nil {
		return nil, err
	}
	if err := r.reach(ctx, req.GetMinPosition()); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.state.selected(sel)
	h := r.header(sel, found, time.Now())
	if n := len(found.instances); n > maxLookupInstances {
		return nil, refuse(musterv1.ErrorReason_ERROR_REASON_RESULT_TOO_LARGE,
			fmt.Sprintf("the selector matches %d instances and Lookup answers at most %d; use Watch, or name fewer services", n, maxLookupInstances),
			"count", decimal(n), "maximum", decimal(maxLookupInstances))
	}
	if unchanged(h, req.GetKnown()) {
		return &musterv1.LookupResponse{Header: h, Result: musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED}, nil
	}
	return &musterv1.LookupResponse{
		Header: h, Instances: found.instances, Services: found.services, Result: musterv1.LookupResult_LOOKUP_RESULT_FULL,
	}, nil
}

// unchanged tells whether a client holds the very set.
func unchanged(h *musterv1.ViewHeader, known *musterv1.KnownView) bool {
	return known != nil && known.GetEpoch() == h.GetEpoch() && known.GetViewId() == h.GetViewId() &&
		known.GetDigest() == h.GetDigest() && known.GetCount() == h.GetCount()
}

// reach waits until the registry is at a position, or for as long as a read
// waits.
func (r *Registry) reach(ctx context.Context, wanted *musterv1.Position) error {
	timer := time.NewTimer(readWait)
	defer timer.Stop()
	for {
		epoch, revision, changed := r.position()
		switch {
		case wanted == nil || epoch == wanted.GetEpoch() && revision >= wanted.GetRevision():
			return nil
		case epoch != wanted.GetEpoch():
			return refuse(musterv1.ErrorReason_ERROR_REASON_EPOCH_CHANGED,
				fmt.Sprintf("min_position is of epoch %d and this server serves epoch %d; read again without it", wanted.GetEpoch(), epoch),
				"epoch", strconv.FormatUint(epoch, 10))
		}
		select {
		case <-changed:
		case <-timer.C:
			return refuse(musterv1.ErrorReason_ERROR_REASON_VIEW_BEHIND,
				fmt.Sprintf("revision %d was asked for and this server is still at %d; try again, here or elsewhere", wanted.GetRevision(), revision),
				"revision", strconv.FormatUint(revision, 10))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ListServices implements the contract. A page token is the last service of
// the page before.
func (r discovery) ListServices(_ context.Context, req *musterv1.ListServicesRequest) (*musterv1.ListServicesResponse, error) {
	size := int(cmp.Or(req.GetPageSize(), defaultPageSize))
	if size < 1 || size > maxPageSize {
		return nil, invalid("page_size: %d must be 1 to %d; leave it unset for %d", size, maxPageSize, defaultPageSize)
	}
	after, err := parsePageToken(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	res := &musterv1.ListServicesResponse{
		Position: &musterv1.Position{Epoch: r.state.epoch, Revision: r.state.revision},
	}
	names := r.state.listed(req, after)
	if len(names) > size {
		names = names[:size]
		last := names[size-1]
		res.NextPageToken = last.namespace + "/" + last.service
	}
	for _, name := range names {
		res.Services = append(res.Services, r.state.summary(name))
	}
	return res, nil
}

func parsePageToken(token string) (serviceName, error) {
	namespace, service, ok := strings.Cut(token, "/")
	if token != "" && !ok {
		return serviceName{}, invalid("page_token: %q must be the next_page_token of the answer before, or empty", token)
	}
	return serviceName{namespace, service}, nil
}

// listed are the services that a request lists, behind one of them.
func (s *state) listed(req *musterv1.ListServicesRequest, after serviceName) []serviceName {
	var names []serviceName
	for name := range s.services {
		if (req.GetNamespace() == "" || name.namespace == req.GetNamespace()) &&
			strings.HasPrefix(name.service, req.GetPrefix()) && name.compare(after) > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, serviceName.compare)
	return names
}

func (s *state) summary(name serviceName) *musterv1.ServiceSummary {
	sum := &musterv1.ServiceSummary{State: s.services[name]}
	for held, i := range s.instances {
		if held.serviceName != name {
			continue
		}
		sum.Instances++
		switch {
		case i.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_DRAINING:
			sum.Draining++
		case i.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_STARTING:
			sum.Starting++
		case i.GetHealth() == musterv1.Health_HEALTH_DEGRADED:
			sum.Degraded++
		case i.GetHealth() == musterv1.Health_HEALTH_UNHEALTHY:
			sum.Unhealthy++
		default:
			sum.Healthy++
		}
	}
	return sum
}

// ReportOutcomes is not served.
func (r discovery) ReportOutcomes(context.Context, *musterv1.ReportOutcomesRequest) (*musterv1.ReportOutcomesResponse, error) {
	return nil, notServed("report_outcomes")
}
