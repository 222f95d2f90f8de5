package registry

import (
	"context"
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/record"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/view"
)

// emptiedTogether bounds how many services' states are being written at a time.
// They share commits: a mass expiry can empty thousands of services.
const emptiedTogether = 256

// writeAllEmptied makes services' states say whether they are empty; the values
// are the last removals that are known of. Those that could not be written are
// noticed again, and the result is false.
func (r *Registry) writeAllEmptied(ctx context.Context, emptied map[record.ServiceName]*musterv1.Emptied) (all bool) {
	all = true
	names := make([]record.ServiceName, 0, min(len(emptied), emptiedTogether))
	write := func() {
		for _, n := range r.writeEmptied(ctx, names, emptied) {
			r.work.noticeOne(n, emptied[n])
			all = false
		}
		names = names[:0]
	}
	for n := range emptied {
		if names = append(names, n); len(names) == emptiedTogether {
			write()
		}
	}
	write()
	return all
}

// writeEmptied writes some services' states, and returns those that could not
// be written. A state that changed meanwhile is decided again by itself.
func (r *Registry) writeEmptied(
	ctx context.Context, names []record.ServiceName, emptied map[record.ServiceName]*musterv1.Emptied,
) (failed []record.ServiceName) {
	type written struct {
		name record.ServiceName
		answer
	}
	if r.failedFault() != nil {
		return slices.Clone(names)
	}
	v, proposed, done := r.View(), 0, make(chan written, len(names))
	for _, n := range names {
		m := emptiedState(v, n, emptied[n])
		if m == nil {
			continue
		}
		proposed++
		r.store.Propose(*m, func(o store.Outcome, err error) { done <- written{n, answer{o, err}} })
	}
	for range proposed {
		select {
		case w := <-done:
			if w.err == nil && !w.out.Committed() {
				_, w.err = r.change(ctx, func(v *view.View) (*store.Mutation, error) {
					return emptiedState(v, w.name, emptied[w.name]), nil
				})
			}
			if w.err != nil {
				failed = append(failed, w.name)
			}
		case <-ctx.Done():
			return failed
		}
	}
	return failed
}

// emptiedState is the mutation that makes a service's state say whether it is
// empty, or nil if it does; e is the last removal that is known of.
func emptiedState(v *view.View, n record.ServiceName, e *musterv1.Emptied) *store.Mutation {
	s := v.Service(n)
	if s == nil || s.State == nil {
		return nil
	}
	said := s.State.GetEmptied()
	next := &musterv1.ServiceState{
		Namespace: n.Namespace, Service: n.Service, Policy: s.State.GetPolicy(), Holds: s.State.GetHolds(), Tag: newTag(),
	}
	switch {
	case s.Len() > 0 && said == nil:
		return nil
	case s.Len() == 0 && (e == nil || said != nil && said.GetRevision() >= e.GetRevision()):
		return nil
	case s.Len() == 0:
		next.Emptied = e
	}
	return &store.Mutation{
		Guards: []store.Guard{{Key: n.Key(), Revision: s.State.ModifyRevision}},
		Puts:   []store.Put{{Key: n.Key(), Value: record.EncodeService(next)}},
	}
}
