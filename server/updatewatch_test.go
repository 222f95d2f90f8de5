package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/servertest"
)

func subscription(id uint32, resume *musterv1.KnownView, services ...string) *musterv1.Subscription {
	return &musterv1.Subscription{SubscriptionId: id, Selector: servertest.Services(services...), Resume: resume}
}

func knownOf(h *musterv1.ViewHeader) *musterv1.KnownView {
	return &musterv1.KnownView{
		Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: h.GetDigest(), Count: h.GetCount(),
	}
}

// update changes the stream's subscriptions and wants no error.
func (w *watching) update(remove []uint32, add ...*musterv1.Subscription) {
	w.t.Helper()
	if err := w.tryUpdate(remove, add...); err != nil {
		w.t.Fatalf("update watch: %v", err)
	}
}

func (w *watching) tryUpdate(remove []uint32, add ...*musterv1.Subscription) error {
	_, err := w.client.UpdateWatch(w.t.Context(), &musterv1.UpdateWatchRequest{StreamId: w.streamID, Add: add, Remove: remove})
	return err
}

func mustRegister(t *testing.T, c servertest.Clients, in ...*musterv1.Instance) *musterv1.Lease {
	t.Helper()
	res, err := c.Register(t.Context(), servertest.Register(time.Hour, in...))
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	return res.GetLease()
}

// TestUpdateWatchAnswersWithOpenedBeforeFrames is M2.11b.
func TestUpdateWatchAnswersWithOpenedBeforeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		w := openWatch(t.Context(), t, c, "pay")
		w.update(nil, subscription(2, nil, "cart"))
		o := w.next().GetOpened()
		if len(o.GetSubscriptions()) != 1 || o.GetSubscriptions()[0].GetSubscriptionId() != 2 || o.GetStreamId() != w.streamID {
			t.Fatalf("opened = %v, want subscription 2 on the same stream", o)
		}
		h := w.next().GetSnapshot().GetHeader()
		if h.GetViewId() != o.GetSubscriptions()[0].GetViewId() {
			t.Errorf("snapshot of view %d, opened was %d", h.GetViewId(), o.GetSubscriptions()[0].GetViewId())
		}
	})
}

// TestRemovedSubscriptionsGetNothing: what is removed is silent, what is left
// goes on.
func TestRemovedSubscriptionsGetNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		w := openWatch(t.Context(), t, c, "pay")
		w.update(nil, subscription(2, nil, "cart"))
		w.next() // Opened
		cart := w.next().GetSnapshot().GetHeader().GetViewId()
		w.update([]uint32{1, 77}) // unknown ones are ignored
		mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		mustRegister(t, c, servertest.Instance("cart", "cart-1"))
		if d := w.next().GetDelta(); d.GetHeader().GetViewId() != cart {
			t.Errorf("got a delta of view %d, want only those of %d", d.GetHeader().GetViewId(), cart)
		}
	})
}

// TestSubscriptionsOfOneViewShareFrames is M2.11: one Opened each, one snapshot
// for both, one delta for both; when one goes the other stays.
func TestSubscriptionsOfOneViewShareFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		w := openWatch(t.Context(), t, c, "pay")
		w.update(nil, subscription(2, nil, "pay"))
		if o := w.next().GetOpened(); o.GetSubscriptions()[0].GetSubscriptionId() != 2 {
			t.Fatalf("opened = %v", o)
		}
		if s := w.next().GetSnapshot(); s == nil {
			t.Fatal("the newcomer gets no snapshot")
		}
		w.update([]uint32{1})
		mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		if d := w.next().GetDelta(); len(d.GetInstances()) != 1 {
			t.Errorf("delta = %v, want pay-1 for the one that stayed", d)
		}
	})
}

// TestNewcomerIsNotForgottenForOneThatResumes: of two new subscriptions of one
// view the first holds nothing, the second is where the stream is. Both get
// the whole set.
func TestNewcomerIsNotForgottenForOneThatResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		ctx := t.Context()
		stream, err := c.Watch(ctx, &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{subscription(1, nil, "pay")}})
		if err != nil {
			t.Fatal(err)
		}
		w := &watching{t: t, client: c, stream: stream}
		w.streamID = w.next().GetOpened().GetStreamId()
		known := knownOf(w.next().GetSnapshot().GetHeader())
		w.update(nil, subscription(2, nil, "pay"), subscription(3, known, "pay"))
		if o := w.next().GetOpened(); len(o.GetSubscriptions()) != 2 {
			t.Fatalf("opened = %v, want both", o)
		}
		if s := w.next().GetSnapshot(); len(s.GetInstances()) != 1 {
			t.Errorf("snapshot = %v, want the whole set for subscription 2", s)
		}
	})
}

// TestUpdateWatchIsRefusedWhole is M11a: beyond the limit nothing is changed,
// and what is replaced or removed by the same call does not count.
func TestUpdateWatchIsRefusedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t, func(c *server.Config) { c.Limits.SubscriptionsPerStream = 2 }).Dial()
		w := openWatch(t.Context(), t, c, "pay")
		w.update(nil, subscription(2, nil, "cart"))
		w.next() // Opened
		w.next() // Snapshot
		err := w.tryUpdate([]uint32{1}, subscription(3, nil, "user"), subscription(4, nil, "mail"))
		wantReason(t, err, "LIMIT_EXCEEDED")
		mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		if d := w.next().GetDelta(); len(d.GetInstances()) != 1 {
			t.Fatalf("delta = %v, want that of subscription 1, which is still there", d)
		}
		w.update([]uint32{1}, subscription(3, nil, "user"))
		w.update(nil, subscription(3, nil, "mail"))
		err = w.tryUpdate(nil, subscription(4, nil, "mail"))
		wantReason(t, err, "LIMIT_EXCEEDED")
	})
}

// TestUnknownStreamsAreSaidToBe is the reason STREAM_UNKNOWN of UpdateWatch and
// AckWatch, also for a stream that has ended.
func TestUnknownStreamsAreSaidToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		w := openWatch(t.Context(), t, c, "pay")
		w.cancel()
		synctest.Wait()
		wantReason(t, w.tryUpdate([]uint32{1}), "STREAM_UNKNOWN")
		_, err := c.AckWatch(t.Context(), &musterv1.AckWatchRequest{StreamId: w.streamID, Epoch: 1, Revision: 1})
		wantReason(t, err, "STREAM_UNKNOWN")
	})
}
