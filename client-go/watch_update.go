package muster

import (
	"context"
	"slices"

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
// a time.
func (s *watchStream) syncSubscriptions() {
	if s.updating {
		return
	}
	request := &musterv1.UpdateWatchRequest{StreamId: s.id}
	wanted := s.watcher.wanted()
	for id, k := range s.requested {
		if !slices.Contains(wanted, k) {
			request.Remove = append(request.Remove, id)
			delete(s.requested, id)
			s.leaveViews(k)
		}
	}
	added := s.addMissing(wanted, request)
	if len(request.GetAdd())+len(request.GetRemove()) == 0 {
		return
	}
	s.updating = true
	s.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, callTimeout)
		defer cancel()
		result := watchUpdate{added: added}
		if _, err := s.server.discovery().UpdateWatch(ctx, request); err != nil {
			result.err = s.error(err)
		}
		s.updated <- result
	})
}

// addMissing asks for wanted cores that the stream does not carry yet.
func (s *watchStream) addMissing(wanted []*core, request *musterv1.UpdateWatchRequest) (added []*core) {
	batch := updateWatchBatch
	if s.watcher.oneByOne {
		batch = 1
	}
	for _, k := range wanted {
		if s.requested[k.id] != nil || len(added) == batch {
			continue
		}
		add := s.watcher.subscription(k)
		k.frames.beginStream(add.GetResume() != nil)
		s.requested[k.id] = k
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
		s.watcher.oneByOne = true
	default:
		s.watcher.refuse(result.added[0], result.err)
	}
	for _, k := range result.added {
		delete(s.requested, k.id)
	}
	return nil
}
