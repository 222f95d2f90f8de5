package mustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	complete = musterv1.DrainResult_DRAIN_RESULT_COMPLETE
	deadline = musterv1.DrainResult_DRAIN_RESULT_DEADLINE
)

// draining is a Drain under way.
type draining struct {
	t       *testing.T
	began   time.Time
	answers chan drained
}

type drained struct {
	res   *musterv1.DrainResponse
	err   error
	after time.Duration
}

func (c raw) drain(lease string) draining {
	d := draining{c.t, time.Now(), make(chan drained, 1)}
	go func() {
		res, err := c.Drain(c.t.Context(), &musterv1.DrainRequest{LeaseId: lease, Timeout: durationpb.New(8 * time.Second)})
		d.answers <- drained{res, err, time.Since(d.began)}
	}()
	synctest.Wait()
	return d
}

// pending tells that the answer is not there yet.
func (d draining) pending() {
	d.t.Helper()
	synctest.Wait()
	select {
	case got := <-d.answers:
		d.t.Fatalf("answered already: %+v", got)
	default:
	}
}

func (d draining) answer(result musterv1.DrainResult, after time.Duration) *musterv1.DrainResponse {
	d.t.Helper()
	got := <-d.answers
	if got.err != nil || got.res.GetResult() != result || got.after != after {
		d.t.Fatalf("%v, %v after %v, want %v after %v", got.res, got.err, got.after, result, after)
	}
	return got.res
}

func (c raw) ack(f *frames, revision uint64) {
	c.t.Helper()
	if _, err := c.AckWatch(c.t.Context(), &musterv1.AckWatchRequest{
		StreamId: f.opened.GetStreamId(), Epoch: 1, Revision: revision,
	}); err != nil {
		c.t.Fatal(err)
	}
}

func TestDrainWithoutWatchersIsCompleteAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		res := c.drain(lease).answer(complete, 0)
		again := c.drain(lease).answer(complete, 0)
		if res.GetRevision() == 0 || res.GetRevision() != again.GetRevision() {
			t.Errorf("%v, then %v", res, again)
		}
	})
}

func TestDrainWaitsForAcknowledgements(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		f, other := c.watch("ack", nil), c.watch("ack", nil)
		f.snapshot(first)
		other.snapshot(first)
		d := c.drain(lease)
		frame := f.delta()
		if frame.GetHeader().GetAckRequest() == nil {
			t.Errorf("no ack_request in %v", frame)
		}
		d.pending()
		c.ack(f, frame.GetHeader().GetRevision())
		d.pending()
		time.Sleep(time.Second)
		c.ack(other, frame.GetHeader().GetRevision()-1)
		d.pending()
		c.ack(other, frame.GetHeader().GetRevision())
		res := d.answer(complete, time.Second)
		if res.GetConfirmed() != 2 || res.GetRevision() != frame.GetHeader().GetRevision() {
			t.Errorf("%v", res)
		}
	})
}

func TestDrainEndsAtItsDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		c.watch("ack", nil).snapshot(first)
		res := c.drain(lease).answer(deadline, 8*time.Second)
		if res.GetBehind() != 1 || len(res.GetBehindWatchers()) != 1 || res.GetBehindWatchers()[0].GetClientName() != "raw" {
			t.Errorf("%v", res)
		}
	})
}

func TestDrainPassesWhoCannotConfirm(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		f := c.watch("", nil)
		f.snapshot(first)
		d := c.drain(lease)
		if f.delta().GetHeader().GetAckRequest() != nil {
			t.Error("asked for what the client cannot do")
		}
		if res := d.answer(complete, 0); res.GetUnconfirmable() != 1 {
			t.Errorf("%v", res)
		}
	})
}

func TestDrainWaitsAWhileForWhoWentAway(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		before, during := c.watch("ack", nil), c.watch("ack", nil)
		before.snapshot(first)
		during.snapshot(first)
		before.leave()
		time.Sleep(2 * time.Second)
		d := c.drain(lease)
		time.Sleep(time.Second)
		during.leave()
		if res := d.answer(complete, 6*time.Second); res.GetDisconnected() != 2 {
			t.Errorf("%v", res)
		}
	})
}

func TestDrainWaitsForWhoComesBackFromBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		f := c.watch("ack", nil)
		held := known(f.snapshot(first).GetHeader())
		d := c.drain(lease)
		f.leave()
		synctest.Wait()
		back := c.watch("ack", held)
		frame := back.delta()
		time.Sleep(7 * time.Second)
		d.pending()
		c.ack(back, frame.GetHeader().GetRevision())
		if res := d.answer(complete, 7*time.Second); res.GetConfirmed() != 1 || res.GetDisconnected() != 1 {
			t.Errorf("%v", res)
		}
	})
}

func TestDrainSkipsWhoNeverHeldTheInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		sel := selectPay()
		sel.Filter = &musterv1.InstanceFilter{InstanceIds: []string{"b"}}
		c.watchSelector("ack", sel, nil).snapshot(first)
		c.drain(lease).answer(complete, 0)
	})
}

func TestDrainSkipsWhoAcknowledgedThatTheInstanceLeftItsView(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		req := registration(firstRequest, "a")
		req.Instances[0].Capabilities = []string{"refund"}
		lease := c.register(req).GetLease().GetLeaseId()
		sel := selectPay()
		sel.Filter = &musterv1.InstanceFilter{Capabilities: []string{"refund"}}
		f := c.watchSelector("ack", sel, nil)
		f.snapshot(first)
		if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{
			LeaseId: lease, Instance: instance("a"), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"capabilities"}},
		}); err != nil {
			t.Fatal(err)
		}
		c.ack(f, f.delta().GetHeader().GetRevision())
		c.drain(lease).answer(complete, 0)
	})
}

func TestDrainTakesLeavingTheViewAsPassing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		f := c.watch("ack", nil)
		f.snapshot(first)
		d := c.drain(lease)
		time.Sleep(time.Second)
		if _, err := c.UpdateWatch(t.Context(), &musterv1.UpdateWatchRequest{
			StreamId: f.opened.GetStreamId(), Remove: []uint32{1},
		}); err != nil {
			t.Fatal(err)
		}
		d.answer(complete, time.Second)
	})
}

func TestDrainIsCancelledByServing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		c.watch("ack", nil).snapshot(first)
		d := c.drain(lease)
		if _, err := c.Update(t.Context(), &musterv1.UpdateRequest{
			LeaseId: lease, Instance: instance("a"), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"lifecycle"}},
		}); err != nil {
			t.Fatal(err)
		}
		got := <-d.answers
		mustReason(t, got.err, "DRAIN_CANCELLED")
	})
}

func TestDrainStandsWhenTheInstanceGoes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		c := newRaw(t, r)
		lease := c.register(registration(firstRequest, "a")).GetLease().GetLeaseId()
		f := c.watch("ack", nil)
		f.snapshot(first)
		d := c.drain(lease)
		r.Deregister("shop/pay/a")
		d.pending()
		for {
			frame := f.delta()
			c.ack(f, frame.GetHeader().GetRevision())
			if len(frame.GetRemovals()) > 0 {
				break
			}
		}
		d.answer(complete, 0)
	})
}

func TestDrainOfARealClientIsConfirmedByItsPickers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		watching := r.Client()
		sub := subscribe(t, watching)
		picker := sub.AddPicker()
		reg := register(t, r.Client(), spec("a"))
		reach(t, sub, time.Second, "a")
		picker.Applied(sub.View())
		done := make(chan error, 1)
		go func() {
			_, err := reg.Drain(t.Context())
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("drained before the picker let go: %v", err)
		default:
		}
		picker.Applied(sub.View())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		unharmed(t, watching)
	})
}

func TestRegistryDrainsOnItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *Registry) {
		sub := subscribe(t, r.Client())
		r.Register(spec("a"))
		r.Drain("shop/pay/a")
		v := reach(t, sub, time.Second, "a")
		if got := v.Instances()[0].Lifecycle.String(); got != "DRAINING" {
			t.Errorf("lifecycle %s", got)
		}
	})
}
