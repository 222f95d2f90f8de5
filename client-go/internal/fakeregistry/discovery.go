package fakeregistry

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

type discovery struct {
	musterv1.UnimplementedDiscoveryServiceServer
	server *Server
}

// stream is the server's side of one Watch.
type stream struct {
	id     string
	server *Server
	send   musterv1.DiscoveryService_WatchServer
	add    []*musterv1.Subscription
	remove []uint32
	views  map[uint32]*view
}

// view is one subscription and what was sent for it.
type view struct {
	selector  *musterv1.Selector
	id        uint64
	revision  uint64
	instances map[string]*musterv1.Instance
	states    map[string]*musterv1.ServiceState
}

// Lookup implements the contract.
func (d discovery) Lookup(_ context.Context, req *musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
	r := d.server.registry
	r.record(d.server.Address, req)
	if r.OnLookup != nil {
		if resp, err := r.OnLookup(req); resp != nil || err != nil {
			return resp, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := req.GetMinPosition(); m != nil && m.GetEpoch() != r.epoch {
		return nil, Fault(codes.Aborted, musterv1.ErrorReason_ERROR_REASON_EPOCH_CHANGED, "another epoch", nil)
	}
	instances, states := r.setLocked(req.GetSelector())
	h := d.server.headerLocked(req.GetSelector())
	if k := req.GetKnown(); k.GetEpoch() == h.GetEpoch() && k.GetViewId() == h.GetViewId() && k.GetDigest() == h.GetDigest() {
		return &musterv1.LookupResponse{Header: h, Result: musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED}, nil
	}
	return &musterv1.LookupResponse{
		Header: h, Instances: instances, Services: states,
		Result: musterv1.LookupResult_LOOKUP_RESULT_FULL,
	}, nil
}

func (s *Server) headerLocked(selector *musterv1.Selector) *musterv1.ViewHeader {
	r := s.registry
	digest, count := Digest(r.setLocked(selector))
	return &musterv1.ViewHeader{
		ViewId: ViewID(selector), Epoch: r.epoch, Revision: r.revision, Digest: digest, Count: count,
		ServerUptimeMs: uint64(time.Since(time.Unix(0, s.began.Load())).Milliseconds()),
	}
}

// Watch implements the contract, with one chunk an update.
func (d discovery) Watch(req *musterv1.WatchRequest, send musterv1.DiscoveryService_WatchServer) error {
	r := d.server.registry
	r.record(d.server.Address, req)
	if r.OnWatch != nil {
		if script := r.OnWatch(d.server.Address, req); script != nil {
			return script(send)
		}
	}
	r.mu.Lock()
	if req.GetClusterId() != "" && req.GetClusterId() != r.ClusterID {
		r.mu.Unlock()
		return Fault(codes.FailedPrecondition, musterv1.ErrorReason_ERROR_REASON_WRONG_CLUSTER, "another cluster", nil)
	}
	r.opened++
	s := &stream{
		id: fmt.Sprintf("%s-%d", d.server.Address, r.opened), server: d.server, send: send,
		add: req.GetSubscriptions(), views: map[uint32]*view{},
	}
	r.streams[s.id] = s
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.streams, s.id)
		r.mu.Unlock()
	}()
	return s.run(d.server.stopping())
}

func (s *stream) run(stop <-chan struct{}) error {
	r := s.server.registry
	for {
		r.mu.Lock()
		frames := s.nextLocked()
		changed := r.changed
		r.mu.Unlock()
		for _, f := range frames {
			if r.EditFrame != nil && !r.EditFrame(f) {
				continue
			}
			if err := s.send.Send(f); err != nil {
				return err
			}
		}
		silence := time.NewTimer(10 * time.Second)
		select {
		case <-changed:
		case <-silence.C:
			if err := s.progress(); err != nil {
				return err
			}
		case <-stop:
			return nil
		case <-s.send.Context().Done():
			return nil
		}
		silence.Stop()
	}
}

// nextLocked are the frames that bring the client up to date.
func (s *stream) nextLocked() []*musterv1.WatchResponse {
	r := s.server.registry
	var frames []*musterv1.WatchResponse
	for _, id := range s.remove {
		delete(s.views, id)
	}
	for id, v := range s.views {
		if delta := s.deltaLocked(v); delta != nil {
			frames = append(frames, delta)
		}
		_ = id
	}
	if len(s.add) > 0 {
		opened := &musterv1.Opened{StreamId: s.id, ClusterId: r.ClusterID, Epoch: r.epoch}
		for _, sub := range s.add {
			opened.Subscriptions = append(opened.Subscriptions, &musterv1.OpenedSubscription{
				SubscriptionId: sub.GetSubscriptionId(), ViewId: ViewID(sub.GetSelector()),
			})
		}
		frames = append(frames, &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Opened{Opened: opened}})
		for _, sub := range s.add {
			frames = append(frames, s.beginLocked(sub))
		}
	}
	s.add, s.remove = nil, nil
	r.ackNext = r.ackNext && len(frames) == 0
	return frames
}

// beginLocked is the first frame of a subscription: Progress if the client has
// the set already, else a snapshot.
func (s *stream) beginLocked(sub *musterv1.Subscription) *musterv1.WatchResponse {
	r := s.server.registry
	v := &view{selector: sub.GetSelector(), id: ViewID(sub.GetSelector())}
	s.views[sub.GetSubscriptionId()] = v
	instances, states := r.setLocked(v.selector)
	v.remember(r.revision, instances, states)
	h := s.server.headerLocked(v.selector)
	resume := sub.GetResume()
	cause := musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST
	switch {
	case resume == nil:
	case resume.GetEpoch() != r.epoch:
		cause = musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH
	case resume.GetDigest() == h.GetDigest() && resume.GetCount() == h.GetCount():
		return Progress(h)
	default:
		cause = musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED
	}
	return Snapshot(h, cause, instances, states)
}

func (v *view) remember(revision uint64, instances []*musterv1.Instance, states []*musterv1.ServiceState) {
	v.revision = revision
	v.instances, v.states = map[string]*musterv1.Instance{}, map[string]*musterv1.ServiceState{}
	for _, i := range instances {
		v.instances[keyOf(i)] = i
	}
	for _, st := range states {
		v.states[st.GetNamespace()+"/"+st.GetService()] = st
	}
}

// deltaLocked is what changed for a view; nil if nothing did.
func (s *stream) deltaLocked(v *view) *musterv1.WatchResponse {
	r := s.server.registry
	instances, states := r.setLocked(v.selector)
	delta := &musterv1.Delta{Header: s.server.headerLocked(v.selector), Chunk: Final(0), FromRevision: v.revision}
	before := *v
	v.remember(r.revision, instances, states)
	for key, i := range v.instances {
		if old := before.instances[key]; old.GetModifyRevision() != i.GetModifyRevision() {
			delta.Instances = append(delta.Instances, i)
		}
	}
	for key, i := range before.instances {
		if v.instances[key] == nil {
			delta.Removals = append(delta.Removals, &musterv1.Removal{
				Kind:   musterv1.EntryKind_ENTRY_KIND_INSTANCE,
				Key:    &musterv1.InstanceKey{Namespace: i.GetNamespace(), Service: i.GetService(), InstanceId: i.GetInstanceId()},
				Reason: r.removed[key],
			})
		}
	}
	for key, st := range v.states {
		if before.states[key].GetModifyRevision() != st.GetModifyRevision() {
			delta.Services = append(delta.Services, st)
		}
	}
	if len(delta.Instances)+len(delta.Removals)+len(delta.Services) == 0 {
		v.revision = before.revision
		return nil
	}
	if r.ackNext {
		delta.Header.AckRequest = &musterv1.AckRequest{}
	}
	return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Delta{Delta: delta}}
}

func (s *stream) progress() error {
	r := s.server.registry
	r.mu.Lock()
	var frames []*musterv1.WatchResponse
	for _, v := range s.views {
		v.revision = r.revision
		frames = append(frames, Progress(s.server.headerLocked(v.selector)))
	}
	r.mu.Unlock()
	for _, f := range frames {
		if r.EditFrame != nil && !r.EditFrame(f) {
			continue
		}
		if err := s.send.Send(f); err != nil {
			return err
		}
	}
	return nil
}

// UpdateWatch implements the contract.
func (d discovery) UpdateWatch(_ context.Context, req *musterv1.UpdateWatchRequest) (*musterv1.UpdateWatchResponse, error) {
	r := d.server.registry
	r.record(d.server.Address, req)
	if r.OnUpdateWatch != nil {
		if err := r.OnUpdateWatch(req); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.streams[req.GetStreamId()]
	if s == nil || s.server != d.server {
		return nil, Fault(codes.NotFound, musterv1.ErrorReason_ERROR_REASON_STREAM_UNKNOWN, "no such stream", nil)
	}
	s.add = append(s.add, req.GetAdd()...)
	s.remove = append(s.remove, req.GetRemove()...)
	close(r.changed)
	r.changed = make(chan struct{})
	return &musterv1.UpdateWatchResponse{}, nil
}

// AckWatch records.
func (d discovery) AckWatch(_ context.Context, req *musterv1.AckWatchRequest) (*musterv1.AckWatchResponse, error) {
	d.server.registry.record(d.server.Address, req)
	return &musterv1.AckWatchResponse{}, nil
}

// ListServices lists by name.
func (d discovery) ListServices(ctx context.Context, req *musterv1.ListServicesRequest) (*musterv1.ListServicesResponse, error) {
	if hook := d.server.registry.OnListServices; hook != nil {
		if err := hook(ctx); err != nil {
			return nil, err
		}
	}
	r := d.server.registry
	r.record(d.server.Address, req)
	r.mu.Lock()
	defer r.mu.Unlock()
	resp := &musterv1.ListServicesResponse{}
	for _, st := range r.states {
		resp.Services = append(resp.Services, &musterv1.ServiceSummary{State: st})
	}
	return resp, nil
}

// Final is the chunk that ends an update.
func Final(index uint32) *musterv1.Chunk {
	return &musterv1.Chunk{Index: index, Position: musterv1.ChunkPosition_CHUNK_POSITION_FINAL}
}

// Snapshot is a whole set in one frame.
func Snapshot(h *musterv1.ViewHeader, cause musterv1.SnapshotCause, instances []*musterv1.Instance, states []*musterv1.ServiceState) *musterv1.WatchResponse {
	return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Snapshot{Snapshot: &musterv1.Snapshot{
		Header: h, Chunk: Final(0), Cause: cause, Instances: instances, Services: states,
	}}}
}

// Progress tells that nothing else changed.
func Progress(h *musterv1.ViewHeader) *musterv1.WatchResponse {
	return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Progress{Progress: &musterv1.Progress{Header: h}}}
}
