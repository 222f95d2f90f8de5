package muster

import (
	"context"
	"iter"
	"time"
)

// Update is one step of a subscription: a [Snapshot], a [Delta] or a
// [FreshnessChange]. Each carries the view after it.
type Update interface {
	// View is the view after the update.
	View() *View

	update()
}

// Snapshot tells that the view was replaced as a whole. Upserted and Removed
// are how it differs from the view before; for the first they are everything
// and nothing.
type Snapshot struct {
	// Cause is why it was sent whole.
	Cause SnapshotCause
	// Upserted are instances new or changed, sorted by key.
	Upserted []*Instance
	// Removed are instances that left, sorted by key. A snapshot does not tell
	// why: SNAPSHOT_ABSENT, unless the view saw it.
	Removed []Removal

	view *View
}

// Delta tells what changed, net: an instance occurs at most once.
type Delta struct {
	// Upserted are instances new or changed, sorted by key.
	Upserted []*Instance
	// Removed are instances that left, sorted by key.
	Removed []Removal
	// Traces of the changes, oldest first, as far as their callers sent any: at
	// most the last few hundred.
	Traces []ChangeTrace

	view *View
}

// FreshnessChange tells that the view became less, or again more, trustworthy.
type FreshnessChange struct {
	// From is what it was.
	From Freshness
	// To is what it is.
	To Freshness

	view *View
}

// View implements Update.
func (u Snapshot) View() *View { return u.view }

// View implements Update.
func (u Delta) View() *View { return u.view }

// View implements Update.
func (u FreshnessChange) View() *View { return u.view }

func (Snapshot) update()        {}
func (Delta) update()           {}
func (FreshnessChange) update() {}

// Updates yields what changes, beginning with a Snapshot of the first view. It
// is no queue: it remembers the view that it yielded last and yields the
// difference to the present one, so a slow reader misses steps in between and
// costs nothing. It ends when the loop breaks or ctx ends; the end of the
// subscription is yielded last, as an error.
func (s *Subscription) Updates(ctx context.Context) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		from, freshness := newView(s.core.selector, s.core.config, s.core.clock), Expired
		for {
			to := s.View()
			for _, u := range updatesBetween(from, to, &freshness) {
				if !yield(u, nil) {
					return
				}
			}
			from = to
			if err := s.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !s.waitForChange(ctx, to) {
				return
			}
		}
	}
}

// waitForChange waits for a newer view, the end of the subscription, or time to
// change the view's freshness. It is false if ctx ended.
func (s *Subscription) waitForChange(ctx context.Context, v *View) bool {
	var aged <-chan time.Time
	if left := v.freshnessEnds(); left >= 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		aged = timer.C
	}
	select {
	case <-v.Superseded():
	case <-s.closed:
	case <-aged:
	case <-ctx.Done():
		return false
	}
	return true
}

// updatesBetween is what there is to tell of the way from one view to another.
// freshness is what was told last, and is moved on.
func updatesBetween(from, to *View, freshness *Freshness) []Update {
	if !to.received {
		return nil
	}
	var updates []Update
	switch {
	case to.snapshots != from.snapshots:
		upserted, removed := difference(from, to, RemovalSnapshotAbsent)
		updates = append(updates, Snapshot{to.cause, upserted, removed, to})
		if !from.received {
			*freshness = Fresh
		}
	case from != to:
		if upserted, removed := difference(from, to, RemovalUnknown); len(upserted)+len(removed) > 0 {
			updates = append(updates, Delta{upserted, removed, to.tracesAfter(from.position), to})
		}
	}
	if now := to.Freshness(); now != *freshness {
		updates = append(updates, FreshnessChange{*freshness, now, to})
		*freshness = now
	}
	return updates
}

// difference compares the sorted instances of two views. Instances that did
// not change are the same in both. Removals that the view did not see get the
// reason otherwise.
func difference(from, to *View, otherwise RemovalReason) (upserted []*Instance, removed []Removal) {
	a, b := from.instances, to.instances
	for len(a) > 0 || len(b) > 0 {
		var order int
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = compareKeys(a[0].Key, b[0].Key)
		}
		switch {
		case order < 0:
			removed = append(removed, Removal{Key: a[0].Key, Reason: to.reasonFor(a[0].Key, otherwise)})
			a = a[1:]
		case order > 0:
			upserted = append(upserted, b[0])
			b = b[1:]
		default:
			if a[0] != b[0] {
				upserted = append(upserted, b[0])
			}
			a, b = a[1:], b[1:]
		}
	}
	return upserted, removed
}

// reasonFor is why an instance left, if the view saw it.
func (v *View) reasonFor(key Key, otherwise RemovalReason) RemovalReason {
	for i := len(v.removals) - 1; i >= 0; i-- {
		if v.removals[i].Key == key {
			return v.removals[i].Reason
		}
	}
	return otherwise
}
