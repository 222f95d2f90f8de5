package mustertest

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// KeepAlive implements the contract.
func (r registrations) KeepAlive(stream grpc.BidiStreamingServer[musterv1.KeepAliveRequest, musterv1.KeepAliveResponse]) error {
	var previous uint64
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := checkKeepAlive(req, previous); err != nil {
			return err
		}
		previous = req.GetSequence()
		if err := stream.Send(r.renew(req)); err != nil {
			return err
		}
	}
}

func checkKeepAlive(req *musterv1.KeepAliveRequest, previous uint64) error {
	if req.GetSequence() <= previous {
		return invalid("sequence: %d must be above that of the request before, %d", req.GetSequence(), previous)
	}
	for _, rep := range req.GetReports() {
		if int(rep.GetLeaseIndex()) >= len(req.GetLeaseIds()) {
			return invalid("reports: lease_index %d must be a position in lease_ids, which has %d", rep.GetLeaseIndex(), len(req.GetLeaseIds()))
		}
	}
	return atMost("leases_per_keepalive", maxLeasesPerKeepalive, len(req.GetLeaseIds()))
}

// renew answers one request.
func (r *Registry) renew(req *musterv1.KeepAliveRequest) *musterv1.KeepAliveResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	res := &musterv1.KeepAliveResponse{Sequence: req.GetSequence()}
	for index, id := range req.GetLeaseIds() {
		if l := r.state.leases[id]; l != nil {
			l.renew(now)
			continue
		}
		res.Exceptions = append(res.Exceptions, &musterv1.KeepAliveException{
			LeaseIndex: uint32(index),
			Kind: &musterv1.KeepAliveException_Lost{Lost: &musterv1.LeaseLost{
				Reason:  musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN,
				Message: "no such lease: it expired, was ended or replaced; register again",
			}},
		})
	}
	for _, rep := range req.GetReports() {
		if err := r.report(req.GetLeaseIds()[rep.GetLeaseIndex()], rep); err != nil {
			res.Exceptions = append(res.Exceptions, reportRefused(rep.GetLeaseIndex(), err))
		}
	}
	return res
}

// report takes what an instance says of its health.
func (r *Registry) report(leaseID string, rep *musterv1.HealthReport) error {
	name := nameOfKey(rep.GetKey())
	l, err := r.held(leaseID, name)
	if err != nil {
		return err
	}
	present := r.state.instances[name]
	next := owned(present)
	next.SelfHealth = rep.GetSelfHealth()
	r.rewrite(present, next, l)
	return nil
}

func reportRefused(index uint32, err error) *musterv1.KeepAliveException {
	refusal := &musterv1.ReportRefused{Reason: musterv1.ErrorReason_ERROR_REASON_INTERNAL, Message: err.Error()}
	var f *fault
	if errors.As(err, &f) {
		refusal.Reason, refusal.Message = f.reason, f.message
	}
	return &musterv1.KeepAliveException{
		LeaseIndex: index,
		Kind:       &musterv1.KeepAliveException_ReportRefused{ReportRefused: refusal},
	}
}
