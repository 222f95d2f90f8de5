package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// watchIdle is after how long a silence the stream is opened anew; a server
	// says something every 10 s.
	watchIdle = 25 * time.Second
	// watchSettled is after how long a stream counts as one that works.
	watchSettled = 10 * time.Second
	// watchDelay and watchMaxDelay bound the delay between attempts.
	watchDelay    = 200 * time.Millisecond
	watchMaxDelay = 5 * time.Second
)

var errQuiet = errors.New("the server was silent for " + watchIdle.String())

// watchLoop keeps a watch alive. It belongs to one goroutine.
type watchLoop struct {
	app           *app
	subscriptions []*musterv1.Subscription
	verbose       bool
	show          *watchPrinter

	// views by id, and the id of each subscription's.
	views     map[uint64]*viewSet
	viewOf    map[uint32]uint64
	clusterID string
	// trouble is what was last said to be wrong; empty while nothing is.
	trouble string
}

// run watches until the context ends, or the registry refuses for good.
func (w *watchLoop) run(ctx context.Context) error {
	w.views, w.viewOf = map[uint64]*viewSet{}, map[uint32]uint64{}
	delay := watchDelay
	for connected := false; ; {
		began := time.Now()
		opened, err := w.once(ctx)
		connected = connected || opened
		if ctx.Err() != nil {
			return &failure{code: exitInterrupted, err: ctx.Err()}
		}
		if f := asFailure(err); !connected || !worthRetrying(err) {
			return f
		}
		if opened && time.Since(began) >= watchSettled {
			delay = watchDelay
		}
		// Full jitter spreads watchers that lost the same server.
		pause := time.Duration(rand.Int64N(int64(delay))) + time.Millisecond
		w.complain(err)
		delay = min(2*delay, watchMaxDelay)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// complain says what is wrong, once until it changes.
func (w *watchLoop) complain(err error) {
	text := asFailure(err).text
	if u := unreachableError(""); errors.As(err, &u) {
		text = u.Error()
	}
	if w.trouble != text {
		w.app.say("%s; trying again", text)
	}
	w.trouble = text
}

// worthRetrying tells whether another attempt can do better.
func worthRetrying(err error) bool {
	var broken *brokenViewError
	if errors.As(err, &broken) || errors.Is(err, errQuiet) || asFailure(err).code == exitUnavailable {
		return true
	}
	st, ok := status.FromError(errors.Unwrap(err))
	return ok && (st.Code() == codes.Canceled || st.Code() == codes.Unknown || st.Code() == codes.Internal)
}

// brokenViewError is a set that is not the server's.
type brokenViewError struct{ err error }

// Error implements error.
func (b *brokenViewError) Error() string { return "the view is not the server's: " + b.err.Error() }

// once watches on one connection, until it ends. opened tells whether it ever
// began.
func (w *watchLoop) once(ctx context.Context) (opened bool, err error) {
	connectCtx, cancelConnect := context.WithTimeout(ctx, w.app.timeout)
	defer cancelConnect()
	r, err := w.app.connect(connectCtx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(watchIdle, func() { cancel(errQuiet) })
	defer idle.Stop()
	stream, err := r.Watch(ctx, &musterv1.WatchRequest{Subscriptions: w.resuming(), ClusterId: w.clusterID})
	if err != nil {
		return false, callFailure("watch", "", r.server, err)
	}
	first, err := stream.Recv()
	if err != nil {
		return false, w.streamEnded(ctx, r.server, err)
	}
	if err := w.opened(first.GetOpened(), r.server); err != nil {
		return false, err
	}
	acks := startAcker(ctx, r, first.GetOpened().GetStreamId(), len(w.subscriptions))
	defer func() { cancel(nil); <-acks.done }()
	for {
		frame, err := stream.Recv()
		if err != nil {
			return true, w.streamEnded(ctx, r.server, err)
		}
		idle.Reset(watchIdle)
		if err := w.take(ctx, frame, r.server, acks); err != nil {
			return true, err
		}
	}
}

func (w *watchLoop) streamEnded(ctx context.Context, server string, err error) error {
	if errors.Is(context.Cause(ctx), errQuiet) {
		return fail(exitUnavailable, "server %s: %w", server, errQuiet)
	}
	if errors.Is(err, io.EOF) {
		return fail(exitUnavailable, "server %s ended the watch", server)
	}
	if reasonOf(status.Convert(err)) == "EPOCH_BEHIND" {
		w.forget() // its history is another one; see it from the beginning
	}
	return callFailure("watch", "", server, err)
}

// resuming are the subscriptions, each with what is held of it.
func (w *watchLoop) resuming() []*musterv1.Subscription {
	subscriptions := make([]*musterv1.Subscription, len(w.subscriptions))
	for i, s := range w.subscriptions {
		subscriptions[i] = &musterv1.Subscription{SubscriptionId: s.GetSubscriptionId(), Selector: s.GetSelector()}
		v := w.views[w.viewOf[s.GetSubscriptionId()]]
		if v == nil || v.header == nil {
			continue
		}
		v.staged = nil
		h := v.header
		subscriptions[i].Resume = &musterv1.KnownView{
			Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: h.GetDigest(), Count: h.GetCount(),
		}
	}
	return subscriptions
}

func (w *watchLoop) forget() {
	for _, v := range w.views {
		v.header, v.staged = nil, nil
	}
}

// take handles one frame.
func (w *watchLoop) take(ctx context.Context, frame *musterv1.WatchResponse, server string, acks *acker) error {
	if o := frame.GetOpened(); o != nil {
		return w.opened(o, server)
	}
	h := headerOf(frame)
	v := w.views[h.GetViewId()]
	if v == nil {
		return nil // not a view of this stream
	}
	changes, err := v.apply(frame)
	if err != nil {
		v.header, v.staged = nil, nil
		return &failure{code: exitUnavailable, text: "server " + server + ": " + err.Error(), err: &brokenViewError{err}}
	}
	if err := w.show.changes(changes, time.Now()); err != nil {
		return err
	}
	if v.header == h && h.GetAckRequest() != nil {
		acks.want(ctx, h)
	}
	return nil
}

func headerOf(frame *musterv1.WatchResponse) *musterv1.ViewHeader {
	switch f := frame.GetFrame().(type) {
	case *musterv1.WatchResponse_Snapshot:
		return f.Snapshot.GetHeader()
	case *musterv1.WatchResponse_Delta:
		return f.Delta.GetHeader()
	case *musterv1.WatchResponse_Progress:
		return f.Progress.GetHeader()
	default:
		return nil
	}
}

// opened takes over which view each subscription gets.
func (w *watchLoop) opened(o *musterv1.Opened, server string) error {
	if w.verbose || w.trouble != "" {
		w.trouble = ""
		w.app.say("watching at server %s, cluster %s, epoch %d", server, o.GetClusterId(), o.GetEpoch())
	}
	w.clusterID = o.GetClusterId()
	refused := 0
	for _, s := range o.GetSubscriptions() {
		what := selectorText(w.selector(s.GetSubscriptionId()))
		if r := s.GetRefusal(); r != nil {
			refused++
			w.app.say("%s: refused: %s [%s]", what, r.GetMessage(), short(r.GetReason(), "ERROR_REASON_"))
			continue
		}
		for _, f := range s.GetForbidden() {
			w.app.say("%s may not be seen with these credentials [FORBIDDEN]", serviceName(f))
		}
		w.adopt(s.GetSubscriptionId(), s.GetViewId(), what)
	}
	if refused == len(w.subscriptions) {
		return &failure{code: exitRefused, text: "the registry refused every subscription"}
	}
	return nil
}

// adopt gives a subscription its view. If the view has another id than before,
// what is held is compared with the snapshot that follows.
func (w *watchLoop) adopt(subscription uint32, view uint64, name string) {
	before := w.viewOf[subscription]
	w.viewOf[subscription] = view
	if w.views[view] == nil {
		w.views[view] = &viewSet{name: name, set: newEntries()}
		if old := w.views[before]; old != nil {
			w.views[view].set = old.set
		}
	}
	if before != view {
		delete(w.views, before)
	}
}

func (w *watchLoop) selector(id uint32) *musterv1.Selector {
	for _, s := range w.subscriptions {
		if s.GetSubscriptionId() == id {
			return s.GetSelector()
		}
	}
	return nil
}

// selectorText names the services of a selector.
func selectorText(s *musterv1.Selector) string {
	if p := s.GetPrefix(); p != nil {
		return strings.TrimPrefix(p.GetNamespace()+"/"+p.GetPrefix()+"*", "/")
	}
	var names []string
	for _, n := range s.GetServices().GetNames() {
		names = append(names, serviceName(n))
	}
	return strings.Join(names, ", ")
}
