package mustertest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// set is what a selector matches at one revision, sorted.
type set struct {
	instances []*musterv1.Instance
	services  []*musterv1.ServiceState
}

// selected is what a selector matches now.
func (s *state) selected(sel *selection) set {
	var found set
	for _, i := range s.instances {
		if sel.holds(entry{instance: i}) {
			found.instances = append(found.instances, i)
		}
	}
	for _, st := range s.services {
		if sel.holds(entry{service: st}) {
			found.services = append(found.services, st)
		}
	}
	slices.SortFunc(found.instances, func(a, b *musterv1.Instance) int { return nameOf(a).compare(nameOf(b)) })
	slices.SortFunc(found.services, func(a, b *musterv1.ServiceState) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetService(), b.GetService()))
	})
	return found
}

// digest is the digest and the count of a set.
func (s set) digest() (sum, count uint64) {
	for _, i := range s.instances {
		key := rules.EntryKey{Namespace: i.GetNamespace(), Service: i.GetService(), ID: i.GetInstanceId()}
		sum += rules.EntryHash(rules.KindInstance, key, i.GetModifyRevision(), i.GetTag())
	}
	for _, st := range s.services {
		key := rules.EntryKey{Namespace: st.GetNamespace(), Service: st.GetService()}
		sum += rules.EntryHash(rules.KindServiceState, key, st.GetModifyRevision(), st.GetTag())
	}
	return sum, uint64(len(s.instances) + len(s.services))
}

// lastChange is the revision of the last change of what a selector matches, as
// far as the log tells.
func (s *state) lastChange(sel *selection) (revision uint64) {
	for _, ch := range s.log {
		if sel.holds(ch.before) || sel.holds(ch.after) {
			revision = ch.revision
		}
	}
	return revision
}

// difference is what changed for a selector between two revisions, net.
type difference struct {
	set
	removals []*musterv1.Removal
}

func (d difference) empty() bool { return len(d.instances)+len(d.services)+len(d.removals) == 0 }

// since is the difference from an earlier revision, which the log must reach
// back to, until now. With everyRemoval it also lists what came and went in
// between, for clients that hold entries of a lost history.
func (s *state) since(sel *selection, from uint64, everyRemoval bool) difference {
	net := map[entryName]change{}
	for _, ch := range s.log {
		if ch.revision <= from {
			continue
		}
		if first, ok := net[ch.name]; ok {
			ch.before = first.before
		}
		net[ch.name] = ch
	}
	var d difference
	for _, name := range slices.SortedFunc(maps.Keys(net), entryName.compare) {
		ch := net[name]
		switch was, is := sel.holds(ch.before), sel.holds(ch.after); {
		case is && ch.after.service != nil:
			d.services = append(d.services, ch.after.service)
		case is:
			d.instances = append(d.instances, ch.after.instance)
		case was || everyRemoval && !ch.after.exists() && sel.names(name.serviceName):
			d.removals = append(d.removals, removal(ch))
		}
	}
	return d
}

func removal(ch change) *musterv1.Removal {
	reason := ch.reason
	if ch.after.exists() {
		reason = musterv1.RemovalReason_REMOVAL_REASON_FILTERED_OUT
	}
	return &musterv1.Removal{
		Kind:   musterv1.EntryKind_ENTRY_KIND_INSTANCE, // service states stay
		Key:    &musterv1.InstanceKey{Namespace: ch.name.namespace, Service: ch.name.service, InstanceId: ch.name.id},
		Reason: reason,
	}
}

// header describes a view as it is now.
func (r *Registry) header(sel *selection, s set, now time.Time) *musterv1.ViewHeader {
	digest, count := s.digest()
	h := &musterv1.ViewHeader{
		ViewId: sel.viewID, Epoch: r.state.epoch, Revision: r.state.revision, Digest: digest, Count: count,
		ServerUptimeMs: uint64(now.Sub(r.began).Milliseconds()),
	}
	if r.recovering(now) {
		h.Flags = []musterv1.ViewFlag{musterv1.ViewFlag_VIEW_FLAG_RECOVERING}
	}
	return h
}

// recovering tells whether history was lost so lately that instances are still
// coming back.
func (r *Registry) recovering(now time.Time) bool { return now.Before(r.recoveringUntil) }
