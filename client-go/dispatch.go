package muster

import (
	"slices"
	"time"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// take applies one frame.
func (s *watchStream) take(frame *musterv1.WatchResponse) *Error {
	now := time.Now()
	s.messages++
	s.idleAt = now.Add(defaults.IdleStreamTimeout)
	s.lane.lastGood = now
	if s.messages == 1 {
		s.lane.watcher.setFailure(nil)
	}
	switch f := frame.GetFrame().(type) {
	case *musterv1.WatchResponse_Opened:
		s.opened(f.Opened)
		return nil
	case *musterv1.WatchResponse_Snapshot:
		u := update{FrameSnapshot, countEntries(f.Snapshot.GetInstances(), f.Snapshot.GetServices(), f.Snapshot.GetRemoved()), nil}
		return s.dispatch(f.Snapshot.GetHeader(), u, func(k *core) rules.FrameResult {
			return k.frames.snapshot(f.Snapshot, k.forbidden, s.lane.watcher.clock.nowMs())
		})
	case *musterv1.WatchResponse_Delta:
		u := update{FrameDelta, countEntries(f.Delta.GetInstances(), f.Delta.GetServices(), f.Delta.GetRemovals()), tracesFrom(f.Delta.GetTraces())}
		return s.dispatch(f.Delta.GetHeader(), u, func(k *core) rules.FrameResult {
			return k.frames.delta(f.Delta)
		})
	case *musterv1.WatchResponse_Progress:
		return s.dispatch(f.Progress.GetHeader(), update{frame: FrameProgress}, func(k *core) rules.FrameResult {
			return k.frames.progress(f.Progress)
		})
	default:
		return nil // a kind of frame that this client does not know
	}
}

// opened takes answers to subscriptions.
func (s *watchStream) opened(o *musterv1.Opened) {
	for _, answer := range o.GetSubscriptions() {
		k := s.requested[answer.GetSubscriptionId()]
		if k == nil {
			continue // removed meanwhile
		}
		delete(s.unanswered, k.id)
		s.leaveViews(k)
		if r := answer.GetRefusal(); r != nil {
			delete(s.requested, k.id)
			s.lane.watcher.refuse(k, refusedError(k, s.server.address, r))
			continue
		}
		k.forbidden = serviceNamesFrom(answer.GetForbidden())
		k.frames.DropStage()
		k.update = update{}
		s.views[answer.GetViewId()] = append(s.views[answer.GetViewId()], k)
	}
}

// leaveViews takes a core off the views whose frames it got.
func (s *watchStream) leaveViews(k *core) {
	for id, cores := range s.views {
		cores = slices.DeleteFunc(cores, func(c *core) bool { return c == k })
		s.views[id] = cores
		if len(cores) == 0 {
			delete(s.views, id)
		}
	}
}

// dispatch applies a frame to the cores of its view. Frames of views that were
// not opened are ignored: they were under way before.
func (s *watchStream) dispatch(h *musterv1.ViewHeader, u update, apply func(*core) rules.FrameResult) *Error {
	cores := s.views[h.GetViewId()]
	if len(cores) == 0 {
		return nil
	}
	s.lane.epoch = max(s.lane.epoch, h.GetEpoch())
	timing := s.clock.Frame(s.lane.watcher.clock.nowMs(), h.GetServerUptimeMs(), h.GetDataAgeMs())
	var broken *Error
	complete := true
	for _, k := range cores {
		switch r := apply(k); r.Outcome {
		case rules.FrameStaged:
			k.update.add(u)
			complete = false
		case rules.FrameApplied:
			k.update.add(u)
			s.publish(k, h, r, timing)
		default:
			k.update = update{}
			broken = s.broken(k, r)
		}
	}
	if complete && broken == nil && h.GetAckRequest() != nil {
		at := Position{h.GetEpoch(), h.GetRevision()}
		s.lane.acks.want(h.GetViewId(), at, h.GetAckRequest().GetAckSpreadMs(), cores)
	}
	if complete {
		s.noteIsolated(isolated(h))
	}
	return broken
}

// broken notes that a frame did not fit. The view stays as it is; one whose
// digest did not match counts as stale until it is replaced.
func (s *watchStream) broken(k *core, r rules.FrameResult) *Error {
	s.lane.watcher.client.config.telemetry.observe(FrameRejected{k.selector.String(), s.server.address, faults[r.Outcome]})
	if r.Outcome == rules.FrameMismatch {
		k.publish(func(v *View) { v.distrusted = true })
	}
	if r.Outcome != rules.FrameGap {
		s.lane.watcher.client.servers.failed(s.server)
	}
	return violationError(s.server.address, r.Problem+" ("+k.selector.String()+")")
}

// publish makes a core's view of what its frames hold now.
func (s *watchStream) publish(k *core, h *musterv1.ViewHeader, r rules.FrameResult, timing rules.Timing) {
	f := &k.frames
	var cause SnapshotCause
	if r.Snapshot {
		cause = orDefault(SnapshotCause(r.Cause), SnapshotFirst)
	}
	switch {
	case !f.Unverified():
		k.retryAfter, k.retryDelay = time.Time{}, 0
	case r.Snapshot:
		k.retryDelay = min(max(2*k.retryDelay, defaults.UnverifiedRetry), defaults.UnverifiedRetryCap)
		k.retryAfter = time.Now().Add(k.retryDelay)
	}
	k.publish(func(v *View) {
		v.received, v.timing, v.source = true, timing, SourceRegistry
		f.show(v)
		v.forbidden = k.forbidden
		k.fixed.addTo(v)
		v.recovering, v.isolated = recovering(h), isolated(h)
		v.unverified, v.distrusted = f.Unverified(), false
		if r.Snapshot {
			v.snapshots++
			v.cause = cause
		}
		v.removals = remember(v.removals, removalsFrom(r.Gone), f.position())
		v.traces = rememberTraces(v.traces, k.update.traces, f.position())
	})
	s.lane.watcher.client.config.telemetry.viewPublished()
	s.tell(k, cause)
	s.lane.watcher.client.cache.keep(k)
}

// tell tells of the update that a core's view took over.
func (s *watchStream) tell(k *core, cause SnapshotCause) {
	u := k.update
	k.update = update{}
	v := k.view.Load()
	s.lane.watcher.client.config.telemetry.observe(FrameApplied{
		Selector: k.selector.String(), Server: s.server.address,
		Frame: u.frame, Cause: cause, Position: v.position, Entries: u.entries,
		Age: v.Age(), Unverified: v.unverified, Traces: u.traces,
	})
}

// update is what is told of an update besides what it does: of all its chunks.
type update struct {
	frame   FrameKind
	entries int
	traces  []ChangeTrace
}

func (u *update) add(chunk update) {
	u.frame = chunk.frame
	u.entries += chunk.entries
	u.traces = append(u.traces, chunk.traces...)
}

func countEntries(instances []*musterv1.Instance, services []*musterv1.ServiceState, removals []*musterv1.Removal) int {
	return len(instances) + len(services) + len(removals)
}

// noteIsolated makes the stream be left soon if its server cannot reach its
// store and there are others.
func (s *watchStream) noteIsolated(now bool) {
	if now == s.isolated {
		return
	}
	s.isolated = now
	s.stay()
	if now && len(s.lane.watcher.client.servers.list) > 1 {
		s.handoverAt = time.Now()
	}
}

// lostStream tells readers that the view comes from memory now.
func (k *core) lostStream() {
	if k.view.Load().source == SourceRegistry {
		k.publish(func(v *View) { v.source = SourceMemory })
	}
}

func refusedError(k *core, address string, r *musterv1.Refusal) *Error {
	reason := reasonOf(r.GetReason())
	e := newError(reason, codeOf(reason), "watch", k.selector.String(),
		textServerError("watch", k.selector.String(), address, r.GetMessage()))
	e.Server = address
	return e
}
