package muster

import (
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// cacheName is the file of a selector, by its key.
func cacheName(key string) string {
	return fmt.Sprintf("%016x%s", xxhash.Sum64String(key), cacheSuffix)
}

// cacheable tells whether a view is worth to be started from. One of a registry
// that is recovering is not: the view before it is, whose instances the new
// history is to confirm.
func (v *View) cacheable() bool {
	return v.received && v.source == SourceRegistry && !v.unverified && !v.distrusted && !v.recovering
}

// cacheFile is the view as a file of now.
func (v *View) cacheFile(key, clusterID string, nowMs int64) (rules.CacheFile, error) {
	f := rules.CacheFile{
		ClusterID: clusterID, Selector: []byte(key),
		Epoch: v.position.Epoch, Revision: v.position.Revision,
		ViewID: v.viewID, Digest: v.digest, Count: v.count,
		WrittenMs: nowMs, AgeMs: v.Age().Milliseconds(),
	}
	var failed error
	add := func(kind uint8, message proto.Message) {
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		failed = errors.Join(failed, err)
		f.Entries = append(f.Entries, rules.CacheEntry{Kind: kind, Value: value})
	}
	for _, i := range v.instances {
		add(rules.CacheInstance, i.proto())
	}
	for _, s := range v.services {
		add(rules.CacheService, s.proto())
	}
	for _, n := range v.forbidden {
		add(rules.CacheForbidden, &musterv1.ServiceName{Namespace: n.Namespace, Service: n.Service})
	}
	return f, failed
}

// diskView is what a file holds of a selector: verified, and to be resumed from.
type diskView struct {
	clusterID string
	frames    frameState
	forbidden []ServiceName
	ageMs     int64
}

// diskViewOf verifies a file like a snapshot.
func diskViewOf(f rules.CacheFile, key string, freshFor time.Duration, nowMs int64) (*diskView, error) {
	if string(f.Selector) != key {
		return nil, errors.New("it is of another selector")
	}
	snapshot := &musterv1.Snapshot{
		Header: &musterv1.ViewHeader{
			Epoch: f.Epoch, Revision: f.Revision, ViewId: f.ViewID, Digest: f.Digest, Count: f.Count,
		},
		Chunk: &musterv1.Chunk{Position: musterv1.ChunkPosition_CHUNK_POSITION_FINAL},
		Cause: musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST,
	}
	d := &diskView{
		clusterID: f.ClusterID,
		frames:    newFrameState(),
		ageMs:     rules.CacheAge(nowMs, f.WrittenMs, f.AgeMs, freshFor.Milliseconds()),
	}
	for _, e := range f.Entries {
		if err := d.entry(snapshot, e); err != nil {
			return nil, err
		}
	}
	if r := d.frames.snapshot(snapshot, nil, 0); r.Outcome != rules.FrameApplied {
		return nil, errors.New(r.Problem)
	}
	return d, nil
}

// entry decodes an entry to where it belongs.
func (d *diskView) entry(to *musterv1.Snapshot, e rules.CacheEntry) error {
	switch e.Kind {
	case rules.CacheInstance:
		to.Instances = append(to.Instances, &musterv1.Instance{})
		return proto.Unmarshal(e.Value, to.GetInstances()[len(to.GetInstances())-1])
	case rules.CacheService:
		to.Services = append(to.Services, &musterv1.ServiceState{})
		return proto.Unmarshal(e.Value, to.GetServices()[len(to.GetServices())-1])
	default:
		name := &musterv1.ServiceName{}
		err := proto.Unmarshal(e.Value, name)
		d.forbidden = append(d.forbidden, ServiceName{name.GetNamespace(), name.GetService()})
		return err
	}
}

// show makes v the view from disk.
func (d *diskView) show(v *View) {
	v.received, v.source = true, SourceDisk
	v.timing = rules.Timing{ReceivedMs: v.clock.nowMs(), AgeThenMs: d.ageMs}
	d.frames.show(v)
	v.forbidden = d.forbidden
	v.snapshots, v.cause = 1, SnapshotFirst
}
