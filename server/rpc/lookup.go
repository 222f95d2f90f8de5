package rpc

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/hub"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/view"
)

// readWait is how long a read waits for a revision to arrive.
const readWait = 2 * time.Second

// lookup reads a selector once. Only a selector that was not asked for of late
// is decoded; and what the set looks like is encoded once for all who ask
// before it changes.
func (s discovery) lookup(ctx context.Context, r *request) (*message, error) {
	var l lookupRequest
	var x *answer
	consistency := musterv1.Consistency_CONSISTENCY_VIEW
	plain := l.read(r.bytes())
	if plain {
		x = s.answers.get(l.selector)
	}
	if x == nil {
		m := &musterv1.LookupRequest{}
		if err := r.decode(m); err != nil {
			return nil, err
		}
		sel, err := s.checkLookup(m)
		if err != nil {
			return nil, toStatus(err)
		}
		x, consistency = newAnswer(sel), m.GetConsistency()
		if plain {
			x = s.answers.add(l.selector, x)
		} else {
			l = lookupRequestOf(m)
		}
	}
	if err := s.reach(ctx, l.minEpoch, l.minRev, consistency); err != nil {
		return nil, toStatus(err)
	}
	m, err := s.answer(x, &l)
	return m, toStatus(err)
}

func (s *Service) checkLookup(m *musterv1.LookupRequest) (*selector.Selector, error) {
	if err := s.check.Lookup(m); err != nil {
		return nil, err
	}
	sel, err := selector.Compile(m.GetSelector())
	if err != nil {
		return nil, fault.New(musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "selector: %v", err)
	}
	return sel, nil
}

func (s *Service) answer(x *answer, l *lookupRequest) (*message, error) {
	v, set := x.at(s.registry.Newest(), s.registry.Hub())
	head := appendHeader(make([]byte, 0, maxHeader), x.viewID, v.Revision, &set, time.Since(s.registry.Started()))
	if l.holds(x.viewID, &set) {
		head = protowire.AppendTag(head, fieldResult, protowire.VarintType)
		return encodedIn(protowire.AppendVarint(head, uint64(musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED))), nil
	}
	limit := s.limits.GetLookupInstances()
	b := x.bodyOf(v, &set, limit, s.answers)
	if uint64(b.instances) > uint64(limit) {
		return nil, tooLarge(b.instances, limit)
	}
	return encodedIn(head).add(b.encoded), nil
}

// holds tells whether the client holds the very set: the digest tells even if
// the revision moved on for the sake of others.
func (l *lookupRequest) holds(viewID uint64, set *identity) bool {
	return l.hasKnown && l.knownID == viewID && identity{l.knownEpoch, l.knownDigest, l.knownN} == *set
}

// at is the set that a selector matches now, and the view that was looked at. A
// filter is only gone through if the services that it filters have changed.
func (x *answer) at(newest *view.View, h *hub.Hub) (*view.View, identity) {
	whole := x.whole(newest)
	if !x.selector.Filtered() {
		return newest, whole
	}
	if t := x.total.Load(); t != nil && t.whole == whole {
		return newest, t.passing
	}
	v, digest, count := h.Digest(x.selector, "")
	passing := identity{v.Epoch, digest, count}
	x.total.Store(&filteredTotal{whole: x.whole(v), passing: passing})
	return v, passing
}

// whole is the set without the filter.
func (x *answer) whole(v *view.View) identity {
	set := identity{epoch: v.Epoch}
	hub.EachService(v, x.selector, func(s *view.Service) {
		set.digest += s.Digest
		set.count += s.Count
	})
	return set
}

// bodyOf is the encoded set, from memory if it is there.
func (x *answer) bodyOf(v *view.View, set *identity, limit uint32, a *answers) *body {
	if b := x.body.Load(); b != nil && b.identity == *set {
		return b
	}
	x.building.Lock()
	defer x.building.Unlock()
	if b := x.body.Load(); b != nil && b.identity == *set {
		return b
	}
	b := encodeBody(v, x.selector, limit)
	b.identity = *set
	a.keep(x, b)
	return b
}

func tooLarge(count int, limit uint32) error {
	return fault.New(musterv1.ErrorReason_ERROR_REASON_RESULT_TOO_LARGE,
		"the selector matches %d instances and Lookup answers at most %d; use Watch, or name fewer services", count, limit).
		With("count", strconv.Itoa(count)).With("maximum", strconv.FormatUint(uint64(limit), 10))
}

// reach waits until the view is as new as a read wants it; an epoch of 0 stands
// for no wish.
func (s *Service) reach(ctx context.Context, epoch, revision uint64, c musterv1.Consistency) error {
	v := s.registry.View()
	if epoch != 0 && epoch != v.Epoch {
		return fault.New(musterv1.ErrorReason_ERROR_REASON_EPOCH_CHANGED,
			"min_position is of epoch %d and this server serves epoch %d; read again without it", epoch, v.Epoch).
			With("epoch", strconv.FormatUint(v.Epoch, 10))
	}
	linearizable := c == musterv1.Consistency_CONSISTENCY_LINEARIZABLE
	if !linearizable && revision <= v.Revision {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	var err error
	if linearizable {
		_, err = s.registry.Probe(ctx)
	}
	if err == nil && revision > v.Revision {
		_, err = s.registry.AwaitRevision(ctx, revision)
	}
	if err != nil && ctx.Err() != nil {
		return viewBehind(s.registry.View().Revision, revision)
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
