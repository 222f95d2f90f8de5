package muster

import (
	"slices"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Removal is an instance that left a view.
type Removal struct {
	// Key of the instance.
	Key Key
	// Reason why it left.
	Reason RemovalReason
}

// What the rules must know of entries.
var (
	instanceEntries = &rules.EntryType[*Instance]{
		Kind:  rules.KindInstance,
		Key:   func(i *Instance) rules.EntryKey { return entryKey(i.Key) },
		Stamp: func(i *Instance) (modifyRevision, tag uint64) { return i.ModifyRevision, i.tag },
	}
	serviceEntries = &rules.EntryType[*ServiceState]{
		Kind:  rules.KindServiceState,
		Key:   func(s *ServiceState) rules.EntryKey { return serviceKey(s.ServiceName) },
		Stamp: func(s *ServiceState) (modifyRevision, tag uint64) { return s.ModifyRevision, s.tag },
	}
)

func entryKey(k Key) rules.EntryKey {
	return rules.EntryKey{Namespace: k.Namespace, Service: k.Service, ID: k.ID}
}

func serviceKey(n ServiceName) rules.EntryKey {
	return rules.EntryKey{Namespace: n.Namespace, Service: n.Service}
}

func asUnconfirmed(i *Instance) *Instance {
	c := *i
	c.Unconfirmed = true
	return &c
}

// frameState is what a client holds of one view, and what is under way to it,
// by the rules.
type frameState struct {
	rules.Frames[*Instance, *ServiceState]
}

func newFrameState() frameState {
	return frameState{rules.NewFrames(instanceEntries, serviceEntries, asUnconfirmed)}
}

// instances are all of them, sorted, unconfirmed ones among them.
func (f *frameState) instances() []*Instance {
	return mergeInstances(f.Set().Instances, f.Unconfirmed())
}

// mergeInstances joins two sorted lists without common keys.
func mergeInstances(a, b []*Instance) []*Instance {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y *Instance) int { return compareKeys(x.Key, y.Key) })
	return all
}

// position is where the set is; zero before the first one.
func (f *frameState) position() Position { return Position(f.Position()) }

// show makes v show the set.
func (f *frameState) show(v *View) {
	set := f.Set()
	v.position, v.viewID, v.digest, v.count = f.position(), f.ViewID(), set.Digest, set.Count()
	v.instances, v.services = f.instances(), set.Services
}

// known is the position to resume from; nil without a verified set.
func (f *frameState) known() *musterv1.KnownView {
	known, ok := f.Known()
	if !ok {
		return nil
	}
	return &musterv1.KnownView{
		Epoch: known.Position.Epoch, Revision: known.Position.Revision,
		ViewId: known.ViewID, Digest: known.Digest, Count: known.Count,
	}
}

// snapshot applies a snapshot's chunk. forbidden services may not be kept.
func (f *frameState) snapshot(s *musterv1.Snapshot, forbidden []ServiceName, nowMs int64) rules.FrameResult {
	u := newUpdate(s.GetHeader(), s.GetChunk(), s.GetInstances(), s.GetServices(), s.GetRemoved())
	u.Snapshot, u.Cause = true, int32(s.GetCause())
	keys := make([]rules.EntryKey, len(forbidden))
	for i, name := range forbidden {
		keys[i] = serviceKey(name)
	}
	return f.Apply(u, keys, nowMs)
}

// delta applies a delta's chunk.
func (f *frameState) delta(d *musterv1.Delta) rules.FrameResult {
	u := newUpdate(d.GetHeader(), d.GetChunk(), d.GetInstances(), d.GetServices(), d.GetRemovals())
	u.From = d.GetFromRevision()
	return f.Apply(u, nil, 0)
}

// progress verifies, then moves.
func (f *frameState) progress(p *musterv1.Progress) rules.FrameResult {
	return f.Progress(headerFrom(p.GetHeader()))
}

func newUpdate(h *musterv1.ViewHeader, c *musterv1.Chunk, instances []*musterv1.Instance, services []*musterv1.ServiceState, removals []*musterv1.Removal) *rules.Update[*Instance, *ServiceState] {
	u := &rules.Update[*Instance, *ServiceState]{
		Header: headerFrom(h), Index: c.GetIndex(), Position: int32(c.GetPosition()),
		Instances: make([]*Instance, len(instances)),
		Services:  make([]*ServiceState, len(services)),
		Removals:  make([]rules.Removed, len(removals)),
	}
	for i, in := range instances {
		u.Instances[i] = instanceFrom(in)
	}
	for i, s := range services {
		u.Services[i] = serviceStateFrom(s)
	}
	for i, r := range removals {
		u.Removals[i] = rules.Removed{Kind: int32(r.GetKind()), Key: entryKey(keyOf(r.GetKey())), Reason: int32(r.GetReason())}
	}
	return u
}

func headerFrom(h *musterv1.ViewHeader) *rules.FrameHeader {
	if h == nil {
		return nil
	}
	return &rules.FrameHeader{
		ViewID: h.GetViewId(), Position: rules.ViewPosition{Epoch: h.GetEpoch(), Revision: h.GetRevision()},
		Digest: h.GetDigest(), Count: h.GetCount(), Recovering: recovering(h),
	}
}

// removalsFrom names who left.
func removalsFrom(gone []rules.Removed) []Removal {
	list := make([]Removal, len(gone))
	for i, g := range gone {
		list[i] = Removal{Key{g.Key.Namespace, g.Key.Service, g.Key.ID}, orDefault(RemovalReason(g.Reason), RemovalUnknown)}
	}
	return list
}

func recovering(h *musterv1.ViewHeader) bool {
	return slices.Contains(h.GetFlags(), musterv1.ViewFlag_VIEW_FLAG_RECOVERING)
}

func isolated(h *musterv1.ViewHeader) bool {
	return slices.Contains(h.GetFlags(), musterv1.ViewFlag_VIEW_FLAG_ISOLATED)
}
