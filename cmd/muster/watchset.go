package main

import (
	"fmt"
	"maps"
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// changeKind is what a line of a watch is about.
type changeKind string

// What can happen in a watched view.
const (
	changeSnapshot changeKind = "SNAPSHOT"
	changeAdded    changeKind = "ADDED"
	changeChanged  changeKind = "CHANGED"
	changeRemoved  changeKind = "REMOVED"
	changeService  changeKind = "SERVICE"
	changeProgress changeKind = "PROGRESS"
)

// change is one thing that happened in a view.
type change struct {
	kind   changeKind
	header *musterv1.ViewHeader
	// view says what is watched.
	view string
	// cause of a snapshot.
	cause musterv1.SnapshotCause
	// before is what was, of a changed or removed instance.
	before *musterv1.Instance
	// instance is what is, or of a removed instance what was.
	instance *musterv1.Instance
	// reason of a removal.
	reason musterv1.RemovalReason
	// service is a changed state.
	service *musterv1.ServiceState
}

// viewSet is the verified set of one view. It does no I/O.
type viewSet struct {
	// name says what is watched.
	name string
	// header of the last complete update; nil before the first.
	header *musterv1.ViewHeader
	set    entries
	staged *staged
}

// entries by name.
type entries struct {
	instances map[string]*musterv1.Instance
	services  map[string]*musterv1.ServiceState
}

// staged is an update of which not all chunks are here.
type staged struct {
	entries
	snapshot bool
	cause    musterv1.SnapshotCause
	reasons  map[string]musterv1.RemovalReason
}

func newEntries() entries {
	return entries{map[string]*musterv1.Instance{}, map[string]*musterv1.ServiceState{}}
}

func (e entries) clone() entries { return entries{maps.Clone(e.instances), maps.Clone(e.services)} }

func (e entries) put(instances []*musterv1.Instance, services []*musterv1.ServiceState) {
	for _, i := range instances {
		e.instances[instanceName(i)] = i
	}
	for _, s := range services {
		e.services[serviceName(s)] = s
	}
}

func (e entries) digest() (sum, count uint64) {
	for _, i := range e.instances {
		sum += instanceHash(i)
	}
	for _, s := range e.services {
		sum += stateHash(s)
	}
	return sum, uint64(len(e.instances) + len(e.services))
}

// apply takes a frame over and says what it changed; nothing while chunks are
// missing. An error means that the set is not the server's: watch again from
// the beginning.
func (v *viewSet) apply(frame *musterv1.WatchResponse) ([]change, error) {
	switch f := frame.GetFrame().(type) {
	case *musterv1.WatchResponse_Snapshot:
		return v.snapshot(f.Snapshot)
	case *musterv1.WatchResponse_Delta:
		return v.delta(f.Delta)
	case *musterv1.WatchResponse_Progress:
		return v.progress(f.Progress)
	default:
		return nil, nil // a kind of frame that is newer than this program
	}
}

func (v *viewSet) snapshot(s *musterv1.Snapshot) ([]change, error) {
	if s.GetChunk().GetIndex() == 0 || v.staged == nil {
		v.staged = &staged{entries: newEntries(), snapshot: true, cause: s.GetCause()}
	}
	v.staged.put(s.GetInstances(), s.GetServices())
	return v.finish(s.GetHeader(), s.GetChunk())
}

func (v *viewSet) delta(d *musterv1.Delta) ([]change, error) {
	if d.GetChunk().GetIndex() == 0 || v.staged == nil {
		if from := v.header.GetRevision(); v.header == nil || d.GetFromRevision() != from {
			return nil, fmt.Errorf("a delta begins at revision %d, the set is of revision %d", d.GetFromRevision(), from)
		}
		v.staged = &staged{entries: v.set.clone(), reasons: map[string]musterv1.RemovalReason{}}
	}
	v.staged.put(d.GetInstances(), d.GetServices())
	for _, r := range d.GetRemovals() {
		if r.GetKind() == musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE {
			delete(v.staged.services, serviceName(r.GetKey()))
		} else {
			delete(v.staged.instances, keyName(r.GetKey()))
			v.staged.reasons[keyName(r.GetKey())] = r.GetReason()
		}
	}
	return v.finish(d.GetHeader(), d.GetChunk())
}

func (v *viewSet) progress(p *musterv1.Progress) ([]change, error) {
	if v.header == nil {
		return nil, fmt.Errorf("progress to revision %d came before any set", p.GetHeader().GetRevision())
	}
	if err := verify(v.set, p.GetHeader()); err != nil {
		return nil, err
	}
	v.header = p.GetHeader()
	return []change{{kind: changeProgress, view: v.name, header: v.header}}, nil
}

// finish takes the staged update over, once it is whole.
func (v *viewSet) finish(h *musterv1.ViewHeader, c *musterv1.Chunk) ([]change, error) {
	if c.GetPosition() == musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL {
		return nil, nil
	}
	next := v.staged
	v.staged = nil
	if err := verify(next.entries, h); err != nil {
		return nil, err
	}
	before := v.set
	v.header, v.set = h, next.entries
	var changes []change
	if next.snapshot {
		changes = append(changes, change{kind: changeSnapshot, view: v.name, header: h, cause: next.cause})
	}
	for _, c := range differences(before, next) {
		c.view, c.header = v.name, h
		changes = append(changes, c)
	}
	return changes, nil
}

func verify(e entries, h *musterv1.ViewHeader) error {
	if sum, count := e.digest(); sum != h.GetDigest() || count != h.GetCount() {
		return fmt.Errorf("the set at revision %d has %s with digest %016x, the server says %d with %016x",
			h.GetRevision(), entriesText(count), sum, h.GetCount(), h.GetDigest())
	}
	return nil
}

// differences are sorted by name: removed ones first, so that what replaces an
// instance comes after it.
func differences(before entries, next *staged) []change {
	var changes []change
	for _, name := range slices.Sorted(maps.Keys(before.instances)) {
		if next.instances[name] == nil {
			reason, ok := next.reasons[name]
			if !ok {
				reason = musterv1.RemovalReason_REMOVAL_REASON_SNAPSHOT_ABSENT
			}
			changes = append(changes, change{kind: changeRemoved, instance: before.instances[name], reason: reason})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.instances)) {
		was, is := before.instances[name], next.instances[name]
		switch {
		case was == nil:
			changes = append(changes, change{kind: changeAdded, instance: is})
		case instanceHash(was) != instanceHash(is):
			changes = append(changes, change{kind: changeChanged, before: was, instance: is})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.services)) {
		was, is := before.services[name], next.services[name]
		if was == nil || stateHash(was) != stateHash(is) {
			changes = append(changes, change{kind: changeService, service: is})
		}
	}
	return changes
}
