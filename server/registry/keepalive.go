package registry

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/lease"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// expiringRetry is when to renew again a lease whose expiry is under way: its
// outcome is known within one commit.
const expiringRetry = 200 * time.Millisecond

// Keeper is the server's side of one KeepAlive stream. One goroutine owns it.
type Keeper struct {
	registry *Registry
	seen     map[string]struct{}
	scratch  []lease.Exception
}

// OpenKeeper makes a keeper. Close must follow.
func (r *Registry) OpenKeeper() *Keeper {
	r.suspects.opened()
	return &Keeper{registry: r, seen: map[string]struct{}{}}
}

// Renew answers one request.
func (k *Keeper) Renew(ctx context.Context, req *musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
	r := k.registry
	res := &musterv1.KeepAliveResponse{Sequence: req.GetSequence()}
	k.scratch = r.leases.ConfirmAll(req.GetLeaseIds(), time.Now(), k.scratch[:0])
	for _, x := range k.scratch {
		res.Exceptions = append(res.Exceptions, exception(x))
	}
	for _, id := range req.GetLeaseIds() {
		if _, ok := k.seen[id]; !ok {
			k.attach(id)
		}
	}
	for _, rep := range req.GetReports() {
		x, err := k.report(ctx, req.GetLeaseIds(), rep)
		if err != nil {
			return nil, err
		}
		if x != nil {
			res.Exceptions = append(res.Exceptions, x)
		}
	}
	return res, nil
}

func exception(x lease.Exception) *musterv1.KeepAliveException {
	if x.State == lease.Expiring {
		return &musterv1.KeepAliveException{
			LeaseIndex: uint32(x.Index),
			Kind: &musterv1.KeepAliveException_Unconfirmed{Unconfirmed: &musterv1.LeaseUnconfirmed{
				Reason:     musterv1.UnconfirmedReason_UNCONFIRMED_REASON_EXPIRING,
				RetryAfter: durationpb.New(expiringRetry),
			}},
		}
	}
	return &musterv1.KeepAliveException{
		LeaseIndex: uint32(x.Index),
		Kind: &musterv1.KeepAliveException_Lost{Lost: &musterv1.LeaseLost{
			Reason:  musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN,
			Message: "no such lease: it expired, was ended or replaced; register again",
		}},
	}
}

// attach takes note that a lease is renewed on this stream.
func (k *Keeper) attach(id string) {
	l := k.registry.View().Lease(id)
	if l == nil {
		return
	}
	k.seen[id] = struct{}{}
	k.registry.suspects.attach(id, k)
	if hasSlot(k.registry.View(), l, connectionSource) {
		k.registry.work.noticeJudged(id)
		k.registry.work.poke()
	}
}

// report takes a changed self-report. What concerns the one report is
// answered; what concerns the server ends the stream.
func (k *Keeper) report(ctx context.Context, leases []string, rep *musterv1.HealthReport) (*musterv1.KeepAliveException, error) {
	name := record.InstanceName{
		ServiceName: record.ServiceName{Namespace: rep.GetKey().GetNamespace(), Service: rep.GetKey().GetService()},
		ID:          rep.GetKey().GetInstanceId(),
	}
	now := time.Now()
	_, err := k.registry.change(ctx, func(v *view.View) (*store.Mutation, error) {
		in, err := held(v, name, leases[rep.GetLeaseIndex()])
		if err != nil {
			return nil, err
		}
		next := proto.CloneOf(in.Proto())
		if !setSlot(next, selfSlot(rep.GetSelfHealth(), now)) {
			return nil, nil
		}
		return rewrite(in, next, in.DrainDeadlineMS, now), nil
	})
	var f *fault.Error
	if errors.As(err, &f) {
		return &musterv1.KeepAliveException{
			LeaseIndex: rep.GetLeaseIndex(),
			Kind: &musterv1.KeepAliveException_ReportRefused{ReportRefused: &musterv1.ReportRefused{
				Reason: f.Reason, Message: f.Message,
			}},
		}, nil
	}
	return nil, err
}

// Close ends the keeper. broken tells that the stream broke, rather than being
// ended by the client or by this server.
func (k *Keeper) Close(broken bool) {
	k.registry.suspects.closed(k, broken, time.Now())
	if broken {
		k.registry.work.poke()
	}
}
