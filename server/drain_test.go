package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// acking marks a context as that of a client that acknowledges.
func acking(t *testing.T) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "muster-features", "ack", "muster-client-name", "orders-1")
}

type watching struct {
	t      *testing.T
	client servertest.Clients
	stream interface {
		Recv() (*musterv1.WatchResponse, error)
	}
	streamID string
	cancel   context.CancelFunc
}

func openWatch(ctx context.Context, t *testing.T, c servertest.Clients, service string) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	w, err := c.Watch(ctx, &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{
		{SubscriptionId: 1, Selector: servertest.Services(service)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	res := &watching{t: t, client: c, stream: w, cancel: cancel}
	res.streamID = res.next().GetOpened().GetStreamId()
	res.next() // the first snapshot
	return res
}

func (w *watching) next() *musterv1.WatchResponse {
	w.t.Helper()
	f, err := w.stream.Recv()
	if err != nil {
		w.t.Fatalf("watch: %v", err)
	}
	return f
}

func (w *watching) ack(h *musterv1.ViewHeader) {
	w.t.Helper()
	if _, err := w.client.AckWatch(w.t.Context(), &musterv1.AckWatchRequest{
		StreamId: w.streamID, Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewIds: []uint64{h.GetViewId()},
	}); err != nil {
		w.t.Fatalf("ack: %v", err)
	}
}

type drained struct {
	res   *musterv1.DrainResponse
	err   error
	after time.Duration
}

func drain(t *testing.T, c servertest.Clients, lease string, timeout *time.Duration) <-chan drained {
	t.Helper()
	done := make(chan drained, 1)
	start := time.Now()
	go func() {
		req := &musterv1.DrainRequest{LeaseId: lease}
		if timeout != nil {
			req.Timeout = durationpb.New(*timeout)
		}
		res, err := c.Drain(context.Background(), req)
		done <- drained{res, err, time.Since(start)}
	}()
	return done
}

func registerPay(t *testing.T, c servertest.Clients) *musterv1.Lease {
	t.Helper()
	time.Sleep(10 * time.Second) // past the time in which a new server waits for unknown watchers
	res, err := c.Register(t.Context(), servertest.Register(time.Hour, servertest.Instance("pay", "pay-1")))
	if err != nil {
		t.Fatal(err)
	}
	return res.GetLease()
}

func TestDrainWaitsForTheAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		w := openWatch(acking(t), t, c, "pay")
		done := drain(t, c, lease.GetLeaseId(), nil)
		d := w.next().GetDelta()
		if d.GetHeader().GetAckRequest() == nil || d.GetInstances()[0].GetLifecycle() != musterv1.Lifecycle_LIFECYCLE_DRAINING {
			t.Fatalf("frame = %v, want DRAINING with an ack request", d)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case r := <-done:
			t.Fatalf("drain answered before the acknowledgement: %v", r)
		default:
		}
		w.ack(d.GetHeader())
		r := <-done
		if r.err != nil || r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE || r.res.GetConfirmed() != 1 || r.after != time.Second {
			t.Errorf("drain = %+v, want COMPLETE with 1 confirmed after 1 s", r)
		}
	})
}

func TestDrainNamesWhoIsBehindAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		openWatch(acking(t), t, c, "pay")
		r := <-drain(t, c, lease.GetLeaseId(), nil)
		if r.err != nil || r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_DEADLINE || r.res.GetBehind() != 1 {
			t.Fatalf("drain = %+v, want DEADLINE with 1 behind", r)
		}
		if got := r.res.GetBehindWatchers(); len(got) != 1 || got[0].GetClientName() != "orders-1" {
			t.Errorf("behind = %v, want orders-1", got)
		}
		if r.after != 5*time.Second {
			t.Errorf("answered after %v, want 5 s", r.after)
		}
	})
}

func TestDrainWaitsForWatchersThatWentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		before := openWatch(acking(t), t, c, "pay")
		during := openWatch(acking(t), t, c, "pay")
		before.cancel()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		long := time.Minute
		done := drain(t, c, lease.GetLeaseId(), &long)
		synctest.Wait()
		time.Sleep(time.Second)
		during.cancel()
		r := <-done
		// The first went 2 s before the drain, the second 1 s into it: 5 s each.
		if r.err != nil || r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE || r.res.GetDisconnected() != 2 || r.after != 6*time.Second {
			t.Errorf("drain = %+v, want COMPLETE with 2 disconnected after 6 s", r)
		}
	})
}

func TestDrainCountsWatchersThatCannotConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		w := openWatch(t.Context(), t, c, "pay")
		done := drain(t, c, lease.GetLeaseId(), nil)
		w.next()
		r := <-done
		if r.err != nil || r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE || r.res.GetUnconfirmable() != 1 || r.after != 0 {
			t.Errorf("drain = %+v, want COMPLETE with 1 unconfirmable at once", r)
		}
	})
}

func TestDrainIsCancelledByServingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		openWatch(acking(t), t, c, "pay")
		done := drain(t, c, lease.GetLeaseId(), nil)
		time.Sleep(time.Second)
		in := servertest.Instance("pay", "pay-1")
		in.Lifecycle = musterv1.Lifecycle_LIFECYCLE_SERVING
		if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{LeaseId: lease.GetLeaseId(), Instance: in, UpdateMask: mask("lifecycle")}); err != nil {
			t.Fatal(err)
		}
		wantReason(t, (<-done).err, "DRAIN_CANCELLED")
	})
}

func TestDrainRepeatedWaitsForTheSameRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		w := openWatch(acking(t), t, c, "pay")
		first := <-drain(t, c, lease.GetLeaseId(), nil)
		before := lookup(t, c, "pay").GetHeader().GetRevision()
		second := drain(t, c, lease.GetLeaseId(), nil)
		time.Sleep(time.Second)
		w.ack(w.next().GetDelta().GetHeader())
		r := <-second
		if r.err != nil || r.res.GetRevision() != first.res.GetRevision() || r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE {
			t.Errorf("second drain = %+v, want COMPLETE at revision %d", r, first.res.GetRevision())
		}
		if now := lookup(t, c, "pay").GetHeader().GetRevision(); now != before {
			t.Errorf("the second drain committed revision %d (M7.1a)", now)
		}
	})
}

func TestBrokenKeepaliveStreamMakesInstancesUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		health := func() musterv1.Health { return lookup(t, c, "pay").GetInstances()[0].GetHealth() }
		renew := func() context.CancelFunc {
			ctx, cancel := context.WithCancel(t.Context())
			ka, err := c.KeepAlive(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := ka.Send(&musterv1.KeepAliveRequest{Sequence: 1, LeaseIds: []string{lease.GetLeaseId()}}); err != nil {
				t.Fatal(err)
			}
			if _, err := ka.Recv(); err != nil {
				t.Fatal(err)
			}
			return cancel
		}
		cancel := renew()
		cancel()
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		if h := health(); h != musterv1.Health_HEALTH_HEALTHY {
			t.Fatalf("after 1.9 s: %v, want HEALTHY", h)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if h := health(); h != musterv1.Health_HEALTH_UNHEALTHY {
			t.Fatalf("after 2.1 s: %v, want UNHEALTHY", h)
		}
		defer renew()()
		synctest.Wait()
		if h := health(); h != musterv1.Health_HEALTH_HEALTHY {
			t.Fatalf("after reconnection: %v, want HEALTHY", h)
		}
	})
}
