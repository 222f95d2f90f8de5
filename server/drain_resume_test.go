package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/servertest"
)

// held opens a watch of pay and returns it with the position of its snapshot.
func held(t *testing.T, c servertest.Clients, resume *musterv1.KnownView) (*watching, *musterv1.WatchResponse) {
	t.Helper()
	stream, err := c.Watch(acking(t), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{subscription(1, resume, "pay")}})
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{t: t, client: c, stream: stream}
	w.streamID = w.next().GetOpened().GetStreamId()
	return w, w.next()
}

// TestDrainWaitsForAWatcherThatCameBack is M7.6a: COMPLETE covers a watcher that
// lost its stream, resumed before the instance turned DRAINING, and has not
// acknowledged that it did.
func TestDrainWaitsForAWatcherThatCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		w := openWatch(acking(t), t, c, "pay")
		_, first := held(t, c, nil)
		known := knownOf(first.GetSnapshot().GetHeader())
		minute := time.Minute
		done := drain(t, c, lease.GetLeaseId(), &minute)
		d := w.next().GetDelta()
		w.ack(d.GetHeader())
		time.Sleep(time.Second)
		// The second watcher has not acknowledged. A third one comes from another
		// server, with a set from before the drain.
		third, f := held(t, c, known)
		h := f.GetDelta().GetHeader()
		if h.GetAckRequest() == nil {
			t.Fatalf("frame = %v, want a delta that asks to be acknowledged", f)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		third.ack(h)
		r := <-done
		if r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_DEADLINE || r.res.GetConfirmed() != 2 || r.res.GetBehind() != 1 {
			t.Errorf("drain = %+v, want 2 confirmed and 1 behind", r)
		}
	})
}

// TestDrainOutlastsTheGraceOfOneThatCameBack: the 5 s for a broken stream do not
// pass a watcher that is back and does not acknowledge.
func TestDrainOutlastsTheGraceOfOneThatCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		w := openWatch(acking(t), t, c, "pay")
		known := knownOf(lookup(t, c, "pay").GetHeader())
		minute := time.Minute
		done := drain(t, c, lease.GetLeaseId(), &minute)
		synctest.Wait()
		w.cancel()
		time.Sleep(time.Second)
		back, f := held(t, c, known)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		select {
		case r := <-done:
			t.Fatalf("drain = %+v, and the watcher that came back still picks the instance", r)
		default:
		}
		back.ack(f.GetDelta().GetHeader())
		if r := <-done; r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE || r.after != 11*time.Second {
			t.Errorf("drain = %+v, want COMPLETE after 11 s", r)
		}
	})
}

// TestDrainWaitsForASubscriptionThatIsReplaced: to ask for the same view anew is
// not to give it up; to remove it is.
func TestDrainWaitsForASubscriptionThatIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		w := openWatch(acking(t), t, c, "pay")
		minute := time.Minute
		done := drain(t, c, lease.GetLeaseId(), &minute)
		w.next() // the delta; the client finds that its digest does not match
		w.update([]uint32{1}, subscription(2, nil, "pay"))
		w.next() // Opened
		h := w.next().GetSnapshot().GetHeader()
		if h.GetAckRequest() == nil {
			t.Fatal("the new snapshot does not ask to be acknowledged")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case r := <-done:
			t.Fatalf("drain = %+v before the acknowledgement", r)
		default:
		}
		w.update([]uint32{2})
		if r := <-done; r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE || r.res.GetConfirmed() != 1 || r.after != time.Second {
			t.Errorf("drain = %+v, want COMPLETE with the removal after 1 s", r)
		}
	})
}

// TestDrainAcrossRestart: a new server knows no watchers from before; it waits
// 5 s for them, asks those that come, and the drain called again ends well.
func TestDrainAcrossRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		lease := registerPay(t, c)
		first, f := held(t, c, nil)
		minute := time.Minute
		before := drain(t, c, lease.GetLeaseId(), &minute)
		synctest.Wait()
		s.Kill()
		if r := <-before; r.err == nil {
			t.Fatalf("drain = %+v from a server that was killed", r)
		}
		_ = first
		s.Start()
		c = s.Dial()
		time.Sleep(time.Second)
		done := drain(t, c, lease.GetLeaseId(), &minute)
		synctest.Wait()
		if l := lookup(t, c, "pay").GetInstances()[0].GetLifecycle(); l != musterv1.Lifecycle_LIFECYCLE_DRAINING {
			t.Fatalf("after the restart it is %v, want DRAINING", l)
		}
		back, f := held(t, c, knownOf(f.GetSnapshot().GetHeader()))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		select {
		case r := <-done:
			t.Fatalf("drain = %+v before the watcher acknowledged", r)
		default:
		}
		h := f.GetSnapshot().GetHeader()
		if h.GetAckRequest() == nil {
			t.Fatalf("frame = %v, want an ack request", f)
		}
		back.ack(h)
		if r := <-done; r.err != nil || r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE || r.after != 10*time.Second {
			t.Errorf("drain = %+v, want COMPLETE after 10 s", r)
		}
	})
}

// TestDrainEndsWithItsInstance: one that is deregistered while it drains leaves
// nothing to be picked once all were told, and the call ends.
func TestDrainEndsWithItsInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		lease := registerPay(t, c)
		w := openWatch(acking(t), t, c, "pay")
		done := drain(t, c, lease.GetLeaseId(), nil)
		synctest.Wait()
		if _, err := c.Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: lease.GetLeaseId()}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for {
			h := w.next().GetDelta().GetHeader()
			if h.GetAckRequest() != nil {
				w.ack(h)
				break
			}
		}
		if r := <-done; r.err != nil || r.res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_COMPLETE || r.res.GetConfirmed() != 1 {
			t.Errorf("drain = %+v, want COMPLETE with 1 confirmed", r)
		}
	})
}

// TestDrainOfSeveralInstances adds them up, names at most 20 watchers, and
// leaves alone what it does not name.
func TestDrainOfSeveralInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		time.Sleep(10 * time.Second)
		l := mustRegister(t, c, servertest.Instance("pay", "a"), servertest.Instance("pay", "b"), servertest.Instance("pay", "c"))
		for range 15 {
			openWatch(acking(t), t, c, "pay")
		}
		earlier, err := c.Drain(t.Context(), &musterv1.DrainRequest{
			LeaseId: l.GetLeaseId(), Instances: []*musterv1.InstanceKey{servertest.Key("pay", "b")},
		})
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Drain(t.Context(), &musterv1.DrainRequest{
			LeaseId: l.GetLeaseId(), Instances: []*musterv1.InstanceKey{servertest.Key("pay", "a"), servertest.Key("pay", "b")},
		})
		if err != nil || res.GetResult() != musterv1.DrainResult_DRAIN_RESULT_DEADLINE || res.GetBehind() != 30 {
			t.Fatalf("drain = %v, %v; want DEADLINE with 15 behind for each of two", res, err)
		}
		if n := len(res.GetBehindWatchers()); n != 20 {
			t.Errorf("%d watchers are named, want 20", n)
		}
		if res.GetRevision() <= earlier.GetRevision() {
			t.Errorf("revision %d, want that of the last one to drain, above %d", res.GetRevision(), earlier.GetRevision())
		}
		for _, in := range lookup(t, c, "pay").GetInstances() {
			if drains := in.GetLifecycle() == musterv1.Lifecycle_LIFECYCLE_DRAINING; drains != (in.GetInstanceId() != "c") {
				t.Errorf("%s is %v", in.GetInstanceId(), in.GetLifecycle())
			}
		}
	})
}
