package muster

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// updateWatchBatch is how many subscriptions one UpdateWatch adds at most.
const updateWatchBatch = 100

// watchUpdate is the result of an UpdateWatch call.
type watchUpdate struct {
	added []*core
	err   *Error
}

// syncSubscriptions brings the stream to what is wanted, by one UpdateWatch at
// a time. What is wanted no more is left at once, since another stream may
// carry it by now.
func (s *watchStream) syncSubscriptions() {
	version := s.lane.changes()
	if s.synced == version {
		return
	}
	wanted := s.lane.wanted()
	s.leaveOthers(wanted)
	if s.updating {
		return
	}
	request := &musterv1.UpdateWatchRequest{StreamId: s.id, Remove: s.unwanted}
	s.unwanted = nil
	added := s.addMissing(wanted, request)
	if len(request.GetAdd())+len(request.GetRemove()) == 0 {
		s.synced = version
		return
	}
	s.updating = true
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, defaults.CallTimeout)
		defer cancel()
		result := watchUpdate{added: added}
		if _, err := s.server.discovery().UpdateWatch(ctx, request); err != nil {
			result.err = s.error(err)
		}
		s.updated <- result
	})
}

// leaveOthers stops applying frames to cores that are not wanted, and notes them
// to be removed.
func (s *watchStream) leaveOthers(wanted []*core) {
	for id, k := range s.requested {
		_, found := slices.BinarySearchFunc(wanted, id, func(w *core, id uint32) int { return cmp.Compare(w.id, id) })
		if !found {
			s.unwanted = append(s.unwanted, id)
			delete(s.requested, id)
			delete(s.unanswered, id)
			s.leaveViews(k)
		}
	}
}

// addMissing asks for wanted cores that the stream does not carry yet.
func (s *watchStream) addMissing(wanted []*core, request *musterv1.UpdateWatchRequest) (added []*core) {
	batch := updateWatchBatch
	if s.lane.oneByOne {
		batch = 1
	}
	for _, k := range wanted {
		if s.requested[k.id] != nil || len(added) == batch {
			continue
		}
		add := s.lane.subscription(k)
		k.frames.BeginStream(add.GetResume() != nil)
		s.requested[k.id] = k
		s.unanswered[k.id] = time.Now().Add(defaults.CallTimeout)
		request.Add = append(request.Add, add)
		added = append(added, k)
	}
	return added
}

// tookUpdate handles the result of UpdateWatch. An error that the server means
// for one subscription ends that one; any other reopens the stream.
func (s *watchStream) tookUpdate(result watchUpdate) *Error {
	s.updating = false
	switch {
	case result.err == nil:
		return nil
	case !refusal(result.err) || len(result.added) == 0:
		return result.err
	case len(result.added) > 1:
		s.lane.oneByOne = true
	default:
		s.lane.watcher.refuse(result.added[0], result.err)
	}
	s.synced = 0
	for _, k := range result.added {
		delete(s.requested, k.id)
		delete(s.unanswered, k.id)
	}
	return nil
}
