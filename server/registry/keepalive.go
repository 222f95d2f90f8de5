package registry

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/lease"
)

// expiringRetry is when to renew again a lease whose expiry is under way: its
// outcome is known within one commit.
const expiringRetry = 200 * time.Millisecond

// Keeper is the server's side of one KeepAlive stream. One goroutine owns it.
type Keeper struct {
	registry *Registry
	held     map[string]struct{} // leases that were renewed here last; guarded by suspects.mu
	scratch  []lease.Exception
}

// OpenKeeper makes a keeper. Close must follow.
func (r *Registry) OpenKeeper() *Keeper {
	r.suspects.opened()
	return &Keeper{registry: r, held: map[string]struct{}{}}
}

// Renew answers one request.
func (k *Keeper) Renew(ctx context.Context, req *musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
	r := k.registry
	res := &musterv1.KeepAliveResponse{Sequence: req.GetSequence()}
	k.scratch = r.leases.ConfirmAll(req.GetLeaseIds(), time.Now(), k.scratch[:0])
	for _, x := range k.scratch {
		res.Exceptions = append(res.Exceptions, exception(x))
	}
	k.attach(req.GetLeaseIds())
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

// attach takes note that leases are renewed on this stream.
func (k *Keeper) attach(ids []string) {
	r := k.registry
	for _, id := range r.suspects.attach(ids, k, func(id string) bool { return r.View().Lease(id) != nil }) {
		// The view is read after it was attached: a verdict that commits
		// meanwhile is in it, or finds the lease attached.
		v := r.View()
		if l := v.Lease(id); l != nil && hasSlot(v, l, connectionSource) {
			r.work.noticeJudged(id)
			r.work.poke()
		}
	}
}

// report takes a changed self-report. What concerns the one report is
// answered; what concerns the server ends the stream.
func (k *Keeper) report(ctx context.Context, leases []string, rep *musterv1.HealthReport) (*musterv1.KeepAliveException, error) {
	err := k.registry.Report(ctx, leases[rep.GetLeaseIndex()], rep)
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
