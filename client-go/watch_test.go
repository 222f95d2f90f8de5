package muster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestSubscribeFollowsChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		if v := sub.View(); v == nil || v.Intent() != NotYet || len(v.Instances()) != 0 || v.Source() != SourceMemory {
			t.Fatalf("the first view is %+v", v)
		}
		v := mustWait(t, sub, 1)
		if diff := cmp.Diff([]string{"pay-1"}, ids(v)); diff != "" {
			t.Fatal(diff)
		}
		r.Put(instance("pay", "pay-0"))
		<-v.Superseded()
		if diff := cmp.Diff([]string{"pay-0", "pay-1"}, ids(sub.View())); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"pay-1"}, ids(v)); diff != "" {
			t.Errorf("the old view changed: %s", diff)
		}
		r.Remove(musterv1.RemovalReason_REMOVAL_REASON_EXPIRED, "shop/pay/pay-0", "shop/pay/pay-1")
		synctest.Wait()
		if got := sub.View().Intent(); got != AllExpired {
			t.Errorf("intent %v after the last one expired", got)
		}
		time.Sleep(time.Hour / 2)
		if got := sub.View().Freshness(); got != Fresh {
			t.Errorf("freshness %v while progress arrives", got)
		}
		if n := c.Stats().WatchStreams; n != 1 {
			t.Errorf("%d streams, want 1", n)
		}
	})
}

func TestEqualSelectorsShareAWatchAndOthersJoinTheStream(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("cart", "cart-1"))
		c := newTestClient(t, r)
		one, two := mustSubscribe(t, c, "pay", "cart"), mustSubscribe(t, c, "cart", "pay", "cart")
		if one.core != two.core {
			t.Error("equal selectors are watched twice")
		}
		mustWait(t, one, 2)
		third := mustSubscribe(t, c, "cart")
		mustWait(t, third, 1)
		if n := len(fakeregistry.Calls[*musterv1.WatchRequest](r)); n != 1 {
			t.Errorf("%d streams, want 1", n)
		}
		updates := fakeregistry.Calls[*musterv1.UpdateWatchRequest](r)
		if len(updates) != 1 || len(updates[0].GetAdd()) != 1 {
			t.Fatalf("updates %v", updates)
		}
		third.Close()
		one.Close()
		synctest.Wait()
		updates = fakeregistry.Calls[*musterv1.UpdateWatchRequest](r)
		if last := updates[len(updates)-1]; len(last.GetRemove()) != 1 {
			t.Errorf("last update %v", last)
		}
		r.Put(instance("pay", "pay-2"))
		synctest.Wait()
		if n := len(two.View().Instances()); n != 3 {
			t.Errorf("the other handle sees %d instances, want 3", n)
		}
		two.Close()
		until(t, time.Second, "the stream ends with its last subscription", func() bool { return r.Streams() == 0 })
		if _, err := two.Wait(t.Context(), 9); !errors.Is(err, ErrClosed) {
			t.Errorf("Wait after Close: %v", err)
		}
	})
}

func TestRefusalEndsOneSubscriptionAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnWatch = func(_ string, req *musterv1.WatchRequest) fakeregistry.Script {
			return func(s musterv1.DiscoveryService_WatchServer) error {
				o := opened(req)
				for i, sub := range req.GetSubscriptions() {
					if sub.GetSelector().GetServices().GetNames()[0].GetService() == "secret" {
						o.GetOpened().Subscriptions[i] = &musterv1.OpenedSubscription{
							SubscriptionId: sub.GetSubscriptionId(),
							Refusal:        &musterv1.Refusal{Reason: musterv1.ErrorReason_ERROR_REASON_FORBIDDEN, Message: "not for you"},
						}
					}
				}
				return scripted(s, o, whole(req, 101, instance("pay", "pay-1")))
			}
		}
		c := newTestClient(t, r)
		pay, secret := mustSubscribe(t, c, "pay"), mustSubscribe(t, c, "secret")
		mustWait(t, pay, 1)
		// If the stream began with pay alone, the registry of this test never
		// answers for secret, and the stream is opened anew.
		time.Sleep(defaults.CallTimeout + 2*time.Second)
		if !errors.Is(secret.Err(), ErrForbidden) || pay.Err() != nil {
			t.Errorf("errors %v and %v", secret.Err(), pay.Err())
		}
		n := 0
		for _, err := range secret.Updates(t.Context()) {
			if n++; !errors.Is(err, ErrForbidden) {
				t.Errorf("update error %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d updates of a refused subscription, want its error", n)
		}
	})
}

func TestWaitTellsWhatIsMissing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-7"))
		r.Remove(musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED, "shop/pay/pay-7")
		r.Put(instance("cart", "cart-1"))
		c := newTestClient(t, r)
		wait := func(service string, least int) string {
			sub := mustSubscribe(t, c, service)
			_, err := sub.Wait(timeout(t, 2*time.Second), least)
			if err == nil {
				t.Fatalf("%s: no error", service)
			}
			return err.Error()
		}
		for name, got := range map[string][2]string{
			"deregistered": {wait("pay", 1), "muster: shop/pay has no instances: the last one deregistered (pay-7, revision 102) [NO_INSTANCES]"},
			"typo":         {wait("crat", 1), `muster: service "shop/crat" has never been registered (epoch 7, revision 103); similar: shop/cart [SERVICE_UNKNOWN]`},
			"too few":      {wait("cart", 2), "muster: shop/cart has 1 of 2 wanted instances after 2s; still watching [NO_INSTANCES]"},
		} {
			if got[0] != got[1] {
				t.Errorf("%s:\n%s\nwant\n%s", name, got[0], got[1])
			}
		}
		a.Stop()
		synctest.Wait()
		got := wait("other", 1)
		if !strings.HasPrefix(got, "muster: no view of shop/other within 2s (last error: no registry server reachable: a:1 (connection refused); ") ||
			!strings.HasSuffix(got, "; still retrying [NO_VIEW]") {
			t.Errorf("no server: %s", got)
		}
	})
}

func TestWaitDoesNotWaitForSimilarNames(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnListServices = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		sub := mustSubscribe(t, newTestClient(t, r), "pay")
		began := time.Now()
		time.AfterFunc(500*time.Millisecond, func() { r.Put(instance("pay", "pay-1")) })
		mustWait(t, sub, 1)
		if d := time.Since(began); d != 500*time.Millisecond {
			t.Errorf("it took %v", d)
		}
	})
}

func TestUpdatesYieldTheNetDifference(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		steps := []func(){
			func() { r.Put(instance("pay", "pay-2")) },
			func() { r.Remove(musterv1.RemovalReason_REMOVAL_REASON_EXPIRED, "shop/pay/pay-1") },
			func() { // several changes while the reader sleeps are one step
				r.Put(instance("pay", "pay-3"))
				r.Put(instance("pay", "pay-4"))
				r.Remove(musterv1.RemovalReason_REMOVAL_REASON_DEREGISTERED, "shop/pay/pay-3")
				time.Sleep(time.Second)
			},
			func() { a.Stop() },
			func() { a.Start() },
			func() { closeClient(t, c) },
		}
		var got []string
		for u, err := range sub.Updates(t.Context()) {
			switch u := u.(type) {
			case Snapshot:
				got = append(got, "snapshot "+u.Cause.String())
			case Delta:
				text := "delta"
				for _, i := range u.Upserted {
					text += " +" + i.ID
				}
				for _, r := range u.Removed {
					text += " -" + r.Key.ID + " " + r.Reason.String()
				}
				got = append(got, text)
			case FreshnessChange:
				got = append(got, u.From.String()+" to "+u.To.String())
				if u.To == Stale {
					break
				}
			case nil:
				got = append(got, string(ReasonOf(err)))
				continue
			}
			if strings.HasPrefix(got[len(got)-1], "STALE") || !strings.Contains(got[len(got)-1], " to ") || u.(FreshnessChange).To == Stale {
				steps[0]()
				steps = steps[1:]
			}
		}
		want := []string{
			"snapshot FIRST", "delta +pay-2", "delta -pay-1 EXPIRED", "delta +pay-4",
			"FRESH to STALE", "STALE to FRESH", "CLOSED",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("updates (-want +got):\n%s", diff)
		}
	})
}

func TestAckFollowsPickersAndIsCumulative(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		picker := sub.AddPicker()
		acks := func() []*musterv1.AckWatchRequest {
			synctest.Wait()
			return fakeregistry.Calls[*musterv1.AckWatchRequest](r)
		}
		r.AskAck()
		r.Put(instance("pay", "pay-1"))
		if n := len(acks()); n != 0 {
			t.Fatalf("%d acknowledgements before the picker applied the view", n)
		}
		time.Sleep(time.Minute)
		picker.Applied(sub.View())
		first := acks()
		if len(first) != 1 || len(first[0].GetViewIds()) != 1 || first[0].GetEpoch() != 7 || first[0].GetRevision() < 102 {
			t.Fatalf("acknowledgements %v", first)
		}
		r.Put(instance("pay", "pay-2"))
		picker.Applied(sub.View())
		if n := len(acks()); n != 1 {
			t.Errorf("%d acknowledgements, though nobody asked again", n)
		}
		r.AskAck()
		r.Put(instance("pay", "pay-3"))
		r.AskAck()
		r.Put(instance("pay", "pay-4"))
		acks()
		picker.Close()
		after := acks()
		if len(after) != 2 || after[1].GetRevision() < first[0].GetRevision()+2 {
			t.Errorf("acknowledgements %v", after)
		}
	})
}

func TestAckWaitsARandomPartOfTheSpread(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.EditFrame = func(f *musterv1.WatchResponse) bool {
			if a := f.GetDelta().GetHeader().GetAckRequest(); a != nil {
				a.AckSpreadMs = 1000
			}
			return true
		}
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		c.config.words = func() uint64 { return 1 << 63 }
		sub := mustSubscribe(t, c, "pay")
		v := mustWait(t, sub, 1)
		r.AskAck()
		r.Put(instance("pay", "pay-2"))
		<-v.Superseded()
		began := time.Now()
		until(t, 2*time.Second, "acknowledged", func() bool { return len(fakeregistry.Calls[*musterv1.AckWatchRequest](r)) == 1 })
		if d := time.Since(began); d != 500*time.Millisecond {
			t.Errorf("acknowledged after %v, want half of the second", d)
		}
	})
}

// scripted sends frames and stays until the client goes.

func scripted(s musterv1.DiscoveryService_WatchServer, frames ...*musterv1.WatchResponse) error {
	for _, f := range frames {
		if err := s.Send(f); err != nil {
			return err
		}
	}
	<-s.Context().Done()
	return nil
}

// opened answers each subscription with the view of its number.

func opened(req *musterv1.WatchRequest) *musterv1.WatchResponse {
	o := &musterv1.Opened{StreamId: "scripted", ClusterId: "c1", Epoch: 7}
	for _, s := range req.GetSubscriptions() {
		o.Subscriptions = append(o.Subscriptions, &musterv1.OpenedSubscription{
			SubscriptionId: s.GetSubscriptionId(), ViewId: uint64(s.GetSubscriptionId()),
		})
	}
	return &musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Opened{Opened: o}}
}

func header(viewID, revision uint64, instances []*musterv1.Instance, states []*musterv1.ServiceState) *musterv1.ViewHeader {
	digest, count := fakeregistry.Digest(instances, states)
	return &musterv1.ViewHeader{ViewId: viewID, Epoch: 7, Revision: revision, Digest: digest, Count: count}
}

// whole is a snapshot for the first subscription of a request.

func whole(req *musterv1.WatchRequest, revision uint64, instances ...*musterv1.Instance) *musterv1.WatchResponse {
	for n, i := range instances {
		instances[n] = proto.CloneOf(i)
		instances[n].ModifyRevision = revision
	}
	h := header(uint64(req.GetSubscriptions()[0].GetSubscriptionId()), revision, instances, nil)
	return fakeregistry.Snapshot(h, musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST, instances, nil)
}

func TestAcksCoverEachViewUpToItsOwnPosition(t *testing.T) {
	c, err := New([]string{"a:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient(t, c)
	coreAt := func(epoch, revision uint64) *core {
		k := newCore(1, Service("shop", "pay"), c)
		k.lane = newWatchLane(c.watcher, 0)
		k.publish(func(v *View) { v.received, v.position = true, Position{epoch, revision} })
		return k
	}
	ahead, behind := coreAt(7, 12), coreAt(7, 10)
	a := newAcks(c)
	a.want(1, Position{7, 12}, 0, []*core{ahead})
	a.want(2, Position{7, 10}, 0, []*core{behind})
	ids, at, _ := a.next(time.Now())
	if diff := cmp.Diff([]uint64{1, 2}, ids); diff != "" || at != (Position{7, 10}) {
		t.Errorf("acknowledges %v at %v: the views must both be there", ids, at)
	}
	a.sent(ids, at)
	ids, at, _ = a.next(time.Now())
	if diff := cmp.Diff([]uint64{1}, ids); diff != "" || at != (Position{7, 12}) {
		t.Errorf("then %v at %v", ids, at)
	}
	a.sent(ids, at)
	if ids, _, wait := a.next(time.Now()); len(ids) != 0 || wait >= 0 {
		t.Errorf("then %v, or wait %v", ids, wait)
	}
	// A picker of an old history has not applied the new one, whatever its revision.
	picker := (&Subscription{core: ahead, watcher: c.watcher}).AddPicker()
	ahead.publish(func(v *View) { v.position = Position{8, 3} })
	a.want(1, Position{8, 3}, 0, []*core{ahead})
	if ids, _, _ := a.next(time.Now()); len(ids) != 0 {
		t.Error("acknowledged before the picker moved to the new history")
	}
	picker.Applied(ahead.view.Load())
	if ids, at, _ := a.next(time.Now()); len(ids) != 1 || at != (Position{8, 3}) {
		t.Errorf("acknowledges %v at %v", ids, at)
	}
}
