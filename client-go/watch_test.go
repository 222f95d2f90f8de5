package muster

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

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

func TestBrokenStreamResumes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		before := mustWait(t, sub, 1)
		a.Stop()
		synctest.Wait()
		if v := sub.View(); v.Source() != SourceMemory || len(v.Instances()) != 1 {
			t.Errorf("view %v with %d instances during an outage", v.Source(), len(v.Instances()))
		}
		a.Start()
		until(t, 6*time.Second, "from the registry again", func() bool { return sub.View().Source() == SourceRegistry })
		requests := fakeregistry.Calls[*musterv1.WatchRequest](r)
		resume := requests[len(requests)-1].GetSubscriptions()[0].GetResume()
		if resume.GetRevision() != before.Revision() || resume.GetDigest() != before.Digest() || resume.GetCount() != 2 {
			t.Errorf("resumed from %v", resume)
		}
		if got := sub.View().Instances()[0]; got != before.Instances()[0] {
			t.Error("an instance that did not change is another")
		}
	})
}

func TestOutageShowsAsAgeAndNeverAsEmptiness(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		a.Stop()
		for _, step := range []struct {
			wait time.Duration
			want Freshness
		}{{29 * time.Second, Fresh}, {2 * time.Second, Stale}, {9 * time.Minute, Stale}, {time.Minute, Expired}} {
			time.Sleep(step.wait)
			if v := sub.View(); v.Freshness() != step.want || len(v.Instances()) != 1 {
				t.Errorf("age %v: %v with %d instances, want %v", v.Age(), v.Freshness(), len(v.Instances()), step.want)
			}
		}
	})
}

func TestFramesOfViewsNotOpenedAreIgnored(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnWatch = func(_ string, req *musterv1.WatchRequest) fakeregistry.Script {
			return func(s musterv1.DiscoveryService_WatchServer) error {
				return scripted(s, opened(req),
					fakeregistry.Snapshot(header(666, 100, nil, nil), 1, nil, nil),
					whole(req, 101, instance("pay", "pay-1")))
			}
		}
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		if v := mustWait(t, sub, 0); len(v.Instances()) != 1 {
			t.Errorf("%d instances", len(v.Instances()))
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
		synctest.Wait()
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

func TestRefusedStreamIsAskedOneByOne(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		bad := func(subs []*musterv1.Subscription) error {
			for _, s := range subs {
				if s.GetSelector().GetFilter().GetVersionRange() != "" {
					return fakeregistry.Fault(codes.InvalidArgument, musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "bad range", nil)
				}
			}
			return nil
		}
		r.OnWatch = func(_ string, req *musterv1.WatchRequest) fakeregistry.Script {
			if err := bad(req.GetSubscriptions()); err != nil {
				return func(musterv1.DiscoveryService_WatchServer) error { return err }
			}
			return nil
		}
		r.OnUpdateWatch = func(req *musterv1.UpdateWatchRequest) error { return bad(req.GetAdd()) }
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("cart", "cart-1"))
		c := newTestClient(t, r)
		wrong := Service("shop", "pay")
		wrong.Filter.VersionRange = "nonsense"
		pay := mustSubscribe(t, c, "pay")
		odd, err := c.Subscribe(wrong)
		if err != nil {
			t.Fatal(err)
		}
		cart := mustSubscribe(t, c, "cart")
		mustWait(t, pay, 1)
		mustWait(t, cart, 1)
		if ReasonOf(odd.Err()) != ReasonInvalidArgument {
			t.Errorf("error %v", odd.Err())
		}
	})
}

func TestMismatchKeepsTheLastVerifiedViewAndReopensWithoutResume(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		var spoil atomic.Bool
		r.EditFrame = func(f *musterv1.WatchResponse) bool {
			if d := f.GetDelta(); d != nil && spoil.Load() {
				d.Instances = nil // a delta that forgets what it should bring
			}
			return true
		}
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		v := mustWait(t, sub, 1)
		spoil.Store(true)
		r.Put(instance("pay", "pay-2"))
		<-v.Superseded()
		if v := sub.View(); v.Freshness() != Stale || len(v.Instances()) != 1 {
			t.Errorf("after a mismatch: %v with %d instances", v.Freshness(), len(v.Instances()))
		}
		until(t, 5*time.Second, "repaired", func() bool { return len(sub.View().Instances()) == 2 })
		if v := sub.View(); v.Freshness() != Fresh || v.Unverified() {
			t.Errorf("after the repair: %v, unverified %v", v.Freshness(), v.Unverified())
		}
		requests := fakeregistry.Calls[*musterv1.WatchRequest](r)
		if resume := requests[len(requests)-1].GetSubscriptions()[0].GetResume(); resume != nil {
			t.Errorf("reopened from %v", resume)
		}
		if n := c.Stats().DigestMismatches; n != 1 {
			t.Errorf("%d mismatches counted, want 1", n)
		}
	})
}

func TestThirdMismatchingSnapshotIsTakenUnverified(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		var well atomic.Bool
		r.EditFrame = func(f *musterv1.WatchResponse) bool {
			if s := f.GetSnapshot(); s != nil && !well.Load() {
				s.Header.Digest++
			}
			if p := f.GetProgress(); p != nil && !well.Load() {
				p.Header.Digest++
			}
			return true
		}
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		v := mustWait(t, sub, 1)
		if !v.Unverified() || v.Freshness() != Stale {
			t.Errorf("unverified %v, %v", v.Unverified(), v.Freshness())
		}
		count := func() int { return len(fakeregistry.Calls[*musterv1.WatchRequest](r)) }
		if n := count(); n != 3 {
			t.Errorf("taken at snapshot %d, want the third", n)
		}
		for _, wait := range []time.Duration{29 * time.Second, 2 * time.Second, 58 * time.Second, 4 * time.Second} {
			time.Sleep(wait)
			synctest.Wait()
		}
		if n := count(); n != 5 {
			t.Errorf("%d streams after 93s; the retries come after 30s and 60s more", n)
		}
		if n := len(sub.View().Instances()); n != 1 {
			t.Errorf("%d instances meanwhile", n)
		}
		well.Store(true)
		time.Sleep(125 * time.Second)
		if v := sub.View(); v.Unverified() || v.Freshness() != Fresh {
			t.Errorf("unverified %v, %v after the server was mended", v.Unverified(), v.Freshness())
		}
	})
}

func TestGapReopensWithOwnPosition(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		var spoil atomic.Bool
		r.EditFrame = func(f *musterv1.WatchResponse) bool {
			if d := f.GetDelta(); d != nil && spoil.Swap(false) {
				d.FromRevision += 5
			}
			return true
		}
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		v := mustWait(t, sub, 1)
		spoil.Store(true)
		r.Put(instance("pay", "pay-2"))
		until(t, 5*time.Second, "resynchronised", func() bool { return len(sub.View().Instances()) == 2 })
		requests := fakeregistry.Calls[*musterv1.WatchRequest](r)
		if resume := requests[1].GetSubscriptions()[0].GetResume(); resume.GetRevision() != v.Revision() {
			t.Errorf("resumed from %v, the view was at %d", resume, v.Revision())
		}
		if n := c.Stats().DigestMismatches; n != 0 {
			t.Errorf("%d mismatches counted", n)
		}
	})
}

func TestQuietStreamIsReopenedElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Server("b:1")
		r.OnWatch = func(address string, req *musterv1.WatchRequest) fakeregistry.Script {
			if address == "b:1" {
				return nil
			}
			return func(s musterv1.DiscoveryService_WatchServer) error { return scripted(s, opened(req)) }
		}
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r, "a:1", "b:1")
		sub := mustSubscribe(t, c, "pay")
		began := time.Now()
		if _, err := sub.Wait(timeout(t, time.Minute), 1); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < idleStreamTimeout || d > idleStreamTimeout+time.Second {
			t.Errorf("reopened after %v, want %v", d, idleStreamTimeout)
		}
	})
}

func TestNewEpochReplacesTheView(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		a.Stop()
		r.NewEpoch(+1)
		a.Start()
		until(t, 6*time.Second, "the new epoch", func() bool { return sub.View().Epoch() == 8 })
		if got := sub.View().Intent(); got != NeverSeen {
			t.Errorf("intent %v in a new and empty history", got)
		}
	})
}

func TestRecoveringKeepsOldInstancesAsUnconfirmed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		var recovering atomic.Bool
		r.EditFrame = func(f *musterv1.WatchResponse) bool {
			if recovering.Load() {
				for _, h := range []*musterv1.ViewHeader{f.GetSnapshot().GetHeader(), f.GetDelta().GetHeader(), f.GetProgress().GetHeader()} {
					if h != nil {
						h.Flags = []musterv1.ViewFlag{musterv1.ViewFlag_VIEW_FLAG_RECOVERING}
					}
				}
			}
			return true
		}
		for _, id := range []string{"pay-1", "pay-2", "pay-3"} {
			r.Put(instance("pay", id))
		}
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 3)
		a.Stop()
		r.NewEpoch(+1)
		recovering.Store(true)
		a.Start()
		until(t, 6*time.Second, "the new epoch", func() bool { return sub.View().Epoch() == 8 })
		if v := sub.View(); len(v.Instances()) != 3 || !v.Instances()[0].Unconfirmed || v.Intent() != Present {
			t.Fatalf("%d instances while recovering", len(v.Instances()))
		}
		r.Put(instance("pay", "pay-2"))
		synctest.Wait()
		v := sub.View()
		if got, _ := v.Instance(Key{"shop", "pay", "pay-2"}); got.Unconfirmed || len(v.Instances()) != 3 {
			t.Errorf("pay-2 came back: unconfirmed %v, %d instances", got.Unconfirmed, len(v.Instances()))
		}
		recovering.Store(false)
		until(t, 12*time.Second, "recovered", func() bool { return len(sub.View().Instances()) == 1 })
	})
}

func TestLowerEpochOnlyWhenNothingElseAnswersForAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		a.Stop()
		r.NewEpoch(-1)
		a.Start()
		time.Sleep(50 * time.Second)
		if v := sub.View(); v.Epoch() != 7 || len(v.Instances()) != 1 {
			t.Errorf("epoch %d with %d instances after 50s", v.Epoch(), len(v.Instances()))
		}
		until(t, 20*time.Second, "the lower epoch", func() bool { return sub.View().Epoch() == 6 })
		if n := c.Stats().EpochRegressions; n != 1 {
			t.Errorf("%d regressions counted, want 1", n)
		}
	})
}

func TestIsolatedServerIsLeftForAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Server("b:1")
		r.OnWatch = func(address string, req *musterv1.WatchRequest) fakeregistry.Script {
			if address == "b:1" {
				return nil
			}
			return func(s musterv1.DiscoveryService_WatchServer) error {
				f := whole(req, 101, instance("pay", "pay-1"))
				f.GetSnapshot().Header.Flags = []musterv1.ViewFlag{musterv1.ViewFlag_VIEW_FLAG_ISOLATED}
				return scripted(s, opened(req), f)
			}
		}
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("pay", "pay-2"))
		c := newTestClient(t, r, "a:1", "b:1")
		sub := mustSubscribe(t, c, "pay")
		v := mustWait(t, sub, 2)
		if v.Isolated() || r.Streams() != 1 {
			t.Errorf("isolated %v, %d streams", v.Isolated(), r.Streams())
		}
	})
}

func TestStreamIsHandedOverAboutOnceAnHour(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Server("b:1")
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r, "a:1", "b:1")
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		time.Sleep(80 * time.Minute)
		synctest.Wait()
		if n := c.Stats().WatchStreams; n != 2 {
			t.Errorf("%d streams in 80 min, want 2", n)
		}
		if r.Streams() != 1 || sub.View().Source() != SourceRegistry {
			t.Errorf("%d streams open, source %v", r.Streams(), sub.View().Source())
		}
		var at []string
		for _, call := range r.Log() {
			if _, ok := call.Request.(*musterv1.WatchRequest); ok {
				at = append(at, call.Server)
			}
		}
		if diff := cmp.Diff([]string{"a:1", "b:1"}, at); diff != "" {
			t.Errorf("servers (-want +got):\n%s", diff)
		}
	})
}

func TestStreamUnknownReopensWithPositions(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		var unknown atomic.Bool
		unknown.Store(true)
		r.OnUpdateWatch = func(*musterv1.UpdateWatchRequest) error {
			if unknown.Swap(false) {
				return fakeregistry.Fault(codes.NotFound, musterv1.ErrorReason_ERROR_REASON_STREAM_UNKNOWN, "gone", nil)
			}
			return nil
		}
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("cart", "cart-1"))
		c := newTestClient(t, r)
		pay := mustSubscribe(t, c, "pay")
		mustWait(t, pay, 1)
		cart := mustSubscribe(t, c, "cart")
		mustWait(t, cart, 1)
		requests := fakeregistry.Calls[*musterv1.WatchRequest](r)
		if len(requests) != 2 || requests[1].GetSubscriptions()[0].GetResume() == nil {
			t.Errorf("requests %v", requests)
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

func TestStreamThatGoesQuietLaterIsReopenedToo(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		var quiet atomic.Bool
		r.EditFrame = func(*musterv1.WatchResponse) bool { return !quiet.Load() }
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		sub := mustSubscribe(t, c, "pay")
		mustWait(t, sub, 1)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := c.Stats().WatchStreams; n != 1 {
			t.Fatalf("%d streams while progress arrives, want 1", n)
		}
		quiet.Store(true)
		time.Sleep(idleStreamTimeout - 11*time.Second)
		quiet.Store(false)
		time.Sleep(time.Minute)
		if n := c.Stats().WatchStreams; n != 1 {
			t.Fatalf("%d streams after a pause shorter than %v, want 1", n, idleStreamTimeout)
		}
		quiet.Store(true)
		time.Sleep(idleStreamTimeout + 6*time.Second)
		if n := c.Stats().WatchStreams; n < 2 {
			t.Errorf("a quiet stream was not reopened")
		}
		quiet.Store(false)
		time.Sleep(time.Minute)
		if got := sub.View().Freshness(); got != Fresh {
			t.Errorf("freshness %v afterwards", got)
		}
	})
}

func TestRefusedAdditionIsFoundAmongSeveral(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnUpdateWatch = func(req *musterv1.UpdateWatchRequest) error {
			for _, s := range req.GetAdd() {
				if s.GetSelector().GetFilter().GetVersionRange() != "" {
					return fakeregistry.Fault(codes.InvalidArgument, musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "bad range", nil)
				}
			}
			return nil
		}
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("cart", "cart-1"))
		c := newTestClient(t, r)
		mustWait(t, mustSubscribe(t, c, "pay"), 1)
		wrong := Service("shop", "pay")
		wrong.Filter.VersionRange = "nonsense"
		cart := mustSubscribe(t, c, "cart")
		odd, err := c.Subscribe(wrong)
		if err != nil {
			t.Fatal(err)
		}
		mustWait(t, cart, 1)
		synctest.Wait()
		if ReasonOf(odd.Err()) != ReasonInvalidArgument || cart.Err() != nil {
			t.Errorf("errors %v and %v", odd.Err(), cart.Err())
		}
	})
}

func TestAcksCoverEachViewUpToItsOwnPosition(t *testing.T) {
	c, err := New([]string{"a:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient(t, c)
	coreAt := func(epoch, revision uint64) *core {
		k := newCore(1, Service("shop", "pay"), c)
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
