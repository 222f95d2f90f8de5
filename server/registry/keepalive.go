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

// Keeper is the server's side of one KeepAlive stream. One goroutine uses it.
type Keeper struct {
	registry *Registry
	holder   lease.Holder
	renewal  lease.Renewal
	keys     []lease.Key // scratch of Renew
}

// OpenKeeper makes a keeper. Close must follow.
func (r *Registry) OpenKeeper() *Keeper {
	r.suspects.opened()
	return &Keeper{registry: r, holder: r.leases.OpenHolder()}
}

// Renew answers one request, which has been validated.
func (k *Keeper) Renew(ctx context.Context, req *musterv1.KeepAliveRequest) (*musterv1.KeepAliveResponse, error) {
	ids := req.GetLeaseIds()
	k.keys = k.keys[:0]
	for _, id := range ids {
		k.keys = append(k.keys, lease.KeyOf(id))
	}
	k.registry.leases.Renew(k.keys, k.holder, k.registry.leases.Now(), &k.renewal)
	res := k.answer(req.GetSequence(), func(i int) string { return ids[i] })
	for _, rep := range req.GetReports() {
		x, err := k.report(ctx, ids, rep)
		if err != nil {
			return nil, err
		}
		if x != nil {
			res.Exceptions = append(res.Exceptions, x)
		}
	}
	return res, nil
}

// RenewKeys answers a request without reports whose lease_ids are all of the
// form that [lease.ParseKey] reads. It returns nil if every lease is confirmed,
// which the bare sequence answers.
func (k *Keeper) RenewKeys(sequence uint64, keys []lease.Key) *musterv1.KeepAliveResponse {
	k.registry.leases.Renew(keys, k.holder, k.registry.leases.Now(), &k.renewal)
	if len(k.renewal.Exceptions)+len(k.renewal.Moved) == 0 {
		return nil
	}
	if res := k.answer(sequence, func(i int) string { return keys[i].ID() }); len(res.Exceptions) > 0 {
		return res
	}
	return nil
}

// answer says what became of a renewal.
func (k *Keeper) answer(sequence uint64, id func(int) string) *musterv1.KeepAliveResponse {
	res := &musterv1.KeepAliveResponse{Sequence: sequence}
	for _, x := range k.renewal.Exceptions {
		res.Exceptions = append(res.Exceptions, exception(x))
	}
	if len(k.renewal.Moved) > 0 {
		k.cameBack(k.renewal.Moved, id)
	}
	return res
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

// cameBack clears leases that are renewed on this stream from now on. It is
// their holder by now, so what is suspect or judged after it was looked at here
// finds them held.
func (k *Keeper) cameBack(moved []int, id func(int) string) {
	r := k.registry
	if r.suspects.none() && r.work.noneJudged() {
		return
	}
	ids := make([]string, 0, len(moved))
	for _, i := range moved {
		ids = append(ids, id(i))
	}
	r.suspects.cleared(ids)
	if r.work.anyJudged(ids) {
		r.work.poke()
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
	k.registry.suspects.closed(k.registry.leases, k.holder, broken, time.Now())
	if broken {
		k.registry.work.poke()
	}
}
