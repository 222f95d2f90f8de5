package rpc

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/hub"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/validate"
	"github.com/muster-registry/muster/server/view"
)

// readWait is how long a read waits for a revision to arrive.
const readWait = 2 * time.Second

type discovery struct {
	*Service
	musterv1.UnimplementedDiscoveryServiceServer
}

// Lookup reads a selector once.
func (s discovery) Lookup(ctx context.Context, req *musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
	if err := s.check.Lookup(req); err != nil {
		return nil, toStatus(err)
	}
	sel, err := selector.Compile(req.GetSelector())
	if err != nil {
		return nil, toStatus(fault.New(musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "selector: %v", err))
	}
	if err := s.reach(ctx, req.GetMinPosition(), req.GetConsistency()); err != nil {
		return nil, toStatus(err)
	}
	v, digest, count := s.registry.Hub().Digest(sel, "")
	res := &musterv1.LookupResponse{Header: &musterv1.ViewHeader{
		ViewId: sel.ViewID(""), Epoch: v.Epoch, Revision: v.Revision, Digest: digest, Count: count,
		ServerUptimeMs: uint64(time.Since(s.registry.Started()).Milliseconds()),
	}, Result: musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED}
	if unchanged(req.GetKnown(), res.GetHeader()) {
		return res, nil
	}
	var found []*view.Instance
	hub.Each(v, sel, func(svc *view.Service, instances []*view.Instance) {
		if svc.State != nil {
			res.Services = append(res.Services, svc.State.ServiceState)
		}
		found = append(found, instances...)
	})
	if limit := s.limits.GetLookupInstances(); uint64(len(found)) > uint64(limit) {
		return nil, toStatus(tooLarge(len(found), limit))
	}
	res.Result = musterv1.LookupResult_LOOKUP_RESULT_FULL
	for _, in := range found {
		res.Instances = append(res.Instances, in.Proto())
	}
	return res, nil
}

// unchanged tells whether the client holds the very set: the digest tells even
// if the revision moved on for the sake of others.
func unchanged(k *musterv1.KnownView, h *musterv1.ViewHeader) bool {
	return k != nil && k.GetEpoch() == h.GetEpoch() && k.GetViewId() == h.GetViewId() &&
		k.GetDigest() == h.GetDigest() && k.GetCount() == h.GetCount()
}

func tooLarge(count int, limit uint32) error {
	return fault.New(musterv1.ErrorReason_ERROR_REASON_RESULT_TOO_LARGE,
		"the selector matches %d instances and Lookup answers at most %d; use Watch, or name fewer services", count, limit).
		With("count", strconv.Itoa(count)).With("maximum", strconv.FormatUint(uint64(limit), 10))
}

// reach waits until the view is as new as a read wants it.
func (s *Service) reach(ctx context.Context, p *musterv1.Position, c musterv1.Consistency) error {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	v := s.registry.View()
	if p.GetEpoch() != 0 && p.GetEpoch() != v.Epoch {
		return fault.New(musterv1.ErrorReason_ERROR_REASON_EPOCH_CHANGED,
			"min_position is of epoch %d and this server serves epoch %d; read again without it", p.GetEpoch(), v.Epoch).
			With("epoch", strconv.FormatUint(v.Epoch, 10))
	}
	var err error
	if c == musterv1.Consistency_CONSISTENCY_LINEARIZABLE {
		_, err = s.registry.Probe(ctx)
	}
	if err == nil && p.GetRevision() > v.Revision {
		_, err = s.registry.AwaitRevision(ctx, p.GetRevision())
	}
	if err != nil && ctx.Err() != nil {
		return viewBehind(s.registry.View().Revision, p.GetRevision())
	}
	return err
}

// viewBehind tells that the view did not come to a revision in time; 0 stands
// for the store's newest.
func viewBehind(have, want uint64) error {
	asked := "revision " + strconv.FormatUint(want, 10)
	if want == 0 {
		asked = "the newest revision"
	}
	return fault.New(musterv1.ErrorReason_ERROR_REASON_VIEW_BEHIND,
		"%s was asked for and this server is still at %d; try again, here or elsewhere", asked, have).
		With("revision", strconv.FormatUint(have, 10))
}

// ListServices lists services, a page at a time.
func (s discovery) ListServices(_ context.Context, req *musterv1.ListServicesRequest) (*musterv1.ListServicesResponse, error) {
	if err := s.check.ListServices(req); err != nil {
		return nil, toStatus(err)
	}
	from, err := startOfPage(req)
	if err != nil {
		return nil, toStatus(err)
	}
	v := s.registry.View()
	res := &musterv1.ListServicesResponse{Position: &musterv1.Position{Epoch: v.Epoch, Revision: v.Revision}}
	size := validate.PageSize(req.GetPageSize())
	v.ServicesFrom(from, func(svc *view.Service) bool {
		if req.GetNamespace() != "" && svc.Name.Namespace != req.GetNamespace() {
			return false
		}
		if !strings.HasPrefix(svc.Name.Service, req.GetPrefix()) {
			return req.GetNamespace() == "" // in one namespace they lie together
		}
		if len(res.Services) == size {
			res.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(svc.Name.String()))
			return false
		}
		res.Services = append(res.Services, summary(svc))
		return true
	})
	return res, nil
}

// startOfPage is the name at which a page begins. The token is that name, so
// it stays good when services come and go.
func startOfPage(req *musterv1.ListServicesRequest) (record.ServiceName, error) {
	if req.GetPageToken() == "" {
		return record.ServiceName{Namespace: req.GetNamespace(), Service: req.GetPrefix()}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	ns, svc, ok := strings.Cut(string(raw), "/")
	if err != nil || !ok || !strings.HasPrefix(svc, req.GetPrefix()) || req.GetNamespace() != "" && ns != req.GetNamespace() {
		return record.ServiceName{}, fault.New(musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
			"page_token %q is not one that this list gave; begin again without it", req.GetPageToken())
	}
	return record.ServiceName{Namespace: ns, Service: svc}, nil
}

func summary(svc *view.Service) *musterv1.ServiceSummary {
	res := &musterv1.ServiceSummary{Instances: uint32(svc.Len())}
	if svc.State != nil {
		res.State = svc.State.ServiceState
	} else {
		res.State = &musterv1.ServiceState{Namespace: svc.Name.Namespace, Service: svc.Name.Service}
	}
	for in := range svc.Instances {
		switch {
		case in.Lifecycle == musterv1.Lifecycle_LIFECYCLE_DRAINING:
			res.Draining++
		case in.Lifecycle == musterv1.Lifecycle_LIFECYCLE_STARTING:
			res.Starting++
		case in.Health == musterv1.Health_HEALTH_UNHEALTHY:
			res.Unhealthy++
		case in.Health == musterv1.Health_HEALTH_DEGRADED:
			res.Degraded++
		default:
			res.Healthy++
		}
	}
	return res
}

// ReportOutcomes is not served yet.
func (s discovery) ReportOutcomes(context.Context, *musterv1.ReportOutcomesRequest) (*musterv1.ReportOutcomesResponse, error) {
	return nil, notServed(validate.FeatureReportOutcomes)
}
