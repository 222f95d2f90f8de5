package rpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/grpc"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/hub"
	"github.com/muster-registry/muster/server/selector"
)

// Watch feeds a client until it goes, or the server does.
func (s discovery) Watch(req *musterv1.WatchRequest, stream grpc.ServerStreamingServer[musterv1.WatchResponse]) error {
	ctx := stream.Context()
	if err := s.check.Watch(req); err != nil {
		return toStatus(err)
	}
	if err := s.sameCluster(req.GetClusterId()); err != nil {
		return toStatus(err)
	}
	release, err := s.admitStream(ctx)
	if err != nil {
		return toStatus(err)
	}
	defer release()
	st := openSink(s.registry.Hub(), clientOf(ctx), bare(stream))
	defer func() { st.Close(time.Now()) }()
	if err := s.change(ctx, st, nil, req.GetSubscriptions()); err != nil {
		return toStatus(err)
	}
	return toStatus(s.feed(ctx, st))
}

func (s *Service) sameCluster(want string) error {
	if have := s.registry.ClusterID(); want != "" && want != have {
		return fault.New(musterv1.ErrorReason_ERROR_REASON_WRONG_CLUSTER,
			"this server belongs to cluster %s, not to %s", have, want).With("cluster_id", have)
	}
	return nil
}

// feed keeps a stream open while the hub's senders feed it. All that it does
// itself is to break the silence.
func (s *Service) feed(ctx context.Context, st *hub.Stream) error {
	timer := time.NewTimer(st.Remind(time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(st.Remind(time.Now()))
		case <-st.Done():
			if err := st.Err(); errors.Is(err, context.Canceled) {
				return err
			}
			return fault.New(musterv1.ErrorReason_ERROR_REASON_VIEW_BEHIND, "%v; reopen the stream", st.Err())
		case <-s.stopping:
			return shuttingDown()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// change ends subscriptions of a stream and adds others.
func (s *Service) change(ctx context.Context, st *hub.Stream, remove []uint32, subs []*musterv1.Subscription) error {
	requests := make([]hub.Request, 0, len(subs))
	var newest uint64
	for _, sub := range subs {
		sel, err := selector.Compile(sub.GetSelector())
		if err != nil {
			return fault.New(musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
				"selector of subscription %d: %v", sub.GetSubscriptionId(), err)
		}
		requests = append(requests, hub.Request{ID: sub.GetSubscriptionId(), Selector: sel, Resume: sub.GetResume()})
		// A position in another view does not count: it gets a snapshot whatever
		// its revision is.
		if r := sub.GetResume(); r.GetEpoch() == s.registry.View().Epoch && r.GetViewId() == sel.ViewID("") {
			newest = max(newest, r.GetRevision())
		}
	}
	if err := s.makeCurrent(ctx, newest); err != nil {
		return err
	}
	err := st.Change(remove, requests, time.Now())
	var tooMany *hub.TooManyError
	switch {
	case errors.Is(err, hub.ErrEpochBehind):
		have := strconv.FormatUint(s.registry.View().Epoch, 10)
		return fault.New(musterv1.ErrorReason_ERROR_REASON_EPOCH_BEHIND,
			"the client has seen a newer epoch than %s, which this server serves; use another server", have).
			With("epoch", have)
	case errors.As(err, &tooMany):
		limit := strconv.FormatUint(uint64(s.limits.GetSubscriptionsPerStream()), 10)
		return fault.New(musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
			"%v; this server allows %s on one: remove some, or open another stream", tooMany, limit).
			With("limit", "subscriptions_per_stream").With("maximum", limit).
			With("value", strconv.Itoa(tooMany.Subscriptions))
	}
	return err
}

// makeCurrent makes sure that the view is current before a resume position
// that is ahead of it is taken for lost history.
func (s *Service) makeCurrent(ctx context.Context, resume uint64) error {
	have := s.registry.View().Revision
	if resume <= have {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	v, err := s.registry.Probe(ctx)
	if err != nil {
		return viewBehind(have, resume)
	}
	if v.Revision < resume {
		s.log.Warn("a client is ahead of this registry: history was lost, perhaps because a backup was restored",
			"revision", v.Revision, "client_revision", resume)
	}
	return nil
}

// UpdateWatch changes a stream's subscriptions.
func (s discovery) UpdateWatch(ctx context.Context, req *musterv1.UpdateWatchRequest) (*musterv1.UpdateWatchResponse, error) {
	if err := s.check.UpdateWatch(req); err != nil {
		return nil, toStatus(err)
	}
	st := s.registry.Hub().Find(req.GetStreamId())
	if st == nil {
		return nil, toStatus(streamUnknown(req.GetStreamId()))
	}
	err := s.change(ctx, st, req.GetRemove(), req.GetAdd())
	if errors.Is(err, hub.ErrEnded) {
		err = streamUnknown(req.GetStreamId())
	}
	if err != nil {
		return nil, toStatus(err)
	}
	return &musterv1.UpdateWatchResponse{}, nil
}

func streamUnknown(id string) error {
	return fault.New(musterv1.ErrorReason_ERROR_REASON_STREAM_UNKNOWN,
		"no stream %q at this server; reopen it with resume positions", id)
}

// AckWatch takes an acknowledgement.
func (s discovery) AckWatch(_ context.Context, req *musterv1.AckWatchRequest) (*musterv1.AckWatchResponse, error) {
	if err := s.check.AckWatch(req); err != nil {
		return nil, toStatus(err)
	}
	st := s.registry.Hub().Find(req.GetStreamId())
	if st == nil {
		return nil, toStatus(streamUnknown(req.GetStreamId()))
	}
	s.registry.Hub().Ack(st, req.GetEpoch(), req.GetRevision(), req.GetViewIds())
	return &musterv1.AckWatchResponse{}, nil
}
