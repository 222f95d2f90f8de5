package mustertest

import (
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// claim is what the rules of Register say of one instance (docs/protocol.md,
// section 6.9).
type claim int

const (
	claimCreate claim = iota
	claimRetry
	claimReplace
	claimTakeOver
	claimExists
	claimFenced
)

// judge applies the first rule that fits: present is the lease that holds the
// instance, or nil. Pure.
func judge(present *lease, req *musterv1.RegisterRequest) claim {
	if present == nil {
		return claimCreate
	}
	previous := req.GetPrevious()
	switch {
	case present.requestID == req.GetRequestId():
		return claimRetry
	case previous != nil && (previous.GetLeaseId() == present.id || newer(previous, present)):
		return claimReplace
	case previous != nil:
		return claimFenced
	case slices.Contains(req.GetTakeOver().GetIncarnations(), present.incarnation):
		return claimTakeOver
	}
	return claimExists
}

// newer tells whether a client's earlier lease is from after the present one,
// as only lost history allows.
func newer(p *musterv1.PreviousLease, present *lease) bool {
	if p.GetEpoch() != present.epoch {
		return p.GetEpoch() > present.epoch
	}
	return p.GetIncarnation() > present.incarnation
}
