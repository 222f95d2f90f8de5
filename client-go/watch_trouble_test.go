package muster

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

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
		wrong.Filter.VersionRange = ">=9.0.0"
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
		if d := time.Since(began); d < defaults.IdleStreamTimeout || d > defaults.IdleStreamTimeout+time.Second {
			t.Errorf("reopened after %v, want %v", d, defaults.IdleStreamTimeout)
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

func TestIsolatedServerIsLeftForOneThatHadJustRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		back := r.Server("b:1")
		back.Stop()
		r.OnWatch = func(address string, req *musterv1.WatchRequest) fakeregistry.Script {
			if address == "b:1" {
				return nil
			}
			return func(s musterv1.DiscoveryService_WatchServer) error {
				back.Start()
				f := whole(req, 101, instance("pay", "pay-1"))
				f.GetSnapshot().Header.Flags = []musterv1.ViewFlag{musterv1.ViewFlag_VIEW_FLAG_ISOLATED}
				return scripted(s, opened(req), f)
			}
		}
		r.Put(instance("pay", "pay-1"))
		r.Put(instance("pay", "pay-2"))
		began := time.Now()
		sub := mustSubscribe(t, newTestClient(t, r, "b:1", "a:1"), "pay")
		mustWait(t, sub, 2)
		if took := time.Since(began); took > time.Second {
			t.Errorf("left after %s, want at once", took)
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
		time.Sleep(defaults.IdleStreamTimeout - 11*time.Second)
		quiet.Store(false)
		time.Sleep(time.Minute)
		if n := c.Stats().WatchStreams; n != 1 {
			t.Fatalf("%d streams after a pause shorter than %v, want 1", n, defaults.IdleStreamTimeout)
		}
		quiet.Store(true)
		time.Sleep(defaults.IdleStreamTimeout + 6*time.Second)
		if n := c.Stats().BrokenStreams; n < 1 {
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
		wrong.Filter.VersionRange = ">=9.0.0"
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
