package rpc

import (
	"context"
	"encoding/base64"
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/validate"
	"github.com/muster-registry/muster/server/view"
)

// discovery serves DiscoveryService. Lookup reads its request by itself and is
// not among the methods that the generated code knows (see lookup.go).
type discovery struct {
	*Service
	musterv1.UnimplementedDiscoveryServiceServer
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
