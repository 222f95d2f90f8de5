package server_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/servertest"
	"github.com/muster-registry/muster/server/store"
)

// metadataOf is the ErrorInfo metadata of an error.
func metadataOf(err error) map[string]string {
	for _, d := range status.Convert(err).Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok {
			return i.GetMetadata()
		}
	}
	return nil
}

func lookupAt(ctx context.Context, c servertest.Clients, p *musterv1.Position) (*musterv1.LookupResponse, error) {
	return c.Lookup(ctx, &musterv1.LookupRequest{Selector: servertest.Services("pay"), MinPosition: p})
}

// TestMinPosition is M1.5a: another epoch, a revision that is there, one that
// comes in time, one that does not.
func TestMinPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		h := lookup(t, c, "pay").GetHeader()
		_, err := lookupAt(t.Context(), c, &musterv1.Position{Epoch: h.GetEpoch() - 1, Revision: 1})
		wantReason(t, err, "EPOCH_CHANGED")
		_, err = lookupAt(t.Context(), c, &musterv1.Position{Epoch: h.GetEpoch() + 1, Revision: 1})
		wantReason(t, err, "EPOCH_CHANGED")
		if m := metadataOf(err); m["epoch"] != fmt.Sprint(h.GetEpoch()) {
			t.Errorf("metadata = %v, want the server's epoch", m)
		}
		if _, err = lookupAt(t.Context(), c, &musterv1.Position{Epoch: h.GetEpoch(), Revision: h.GetRevision()}); err != nil {
			t.Errorf("the present position: %v", err)
		}

		start := time.Now()
		next := &musterv1.Position{Epoch: h.GetEpoch(), Revision: h.GetRevision() + 1}
		_, err = lookupAt(t.Context(), c, next)
		wantReason(t, err, "VIEW_BEHIND")
		if m := metadataOf(err); time.Since(start) != 2*time.Second || m["revision"] != fmt.Sprint(h.GetRevision()) {
			t.Errorf("VIEW_BEHIND after %v with %v, want 2 s and the server's revision", time.Since(start), m)
		}

		s.Store().SetDelay(1500 * time.Millisecond)
		go func() {
			if _, err := c.Register(context.WithoutCancel(t.Context()), servertest.Register(time.Hour, servertest.Instance("pay", "pay-1"))); err != nil {
				t.Errorf("register: %v", err)
			}
		}()
		res, err := lookupAt(t.Context(), c, next)
		if err != nil || len(res.GetInstances()) != 1 || res.GetHeader().GetRevision() < next.GetRevision() {
			t.Errorf("lookup = %v, %v; want what came after 1.5 s", res, err)
		}
	})
}

// mute is a store whose probes are not answered.
type mute struct{ store.Store }

func (mute) Probe(ctx context.Context) (uint64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// withMuteStore starts a server whose store does not answer probes.
func withMuteStore(t *testing.T) *servertest.Server {
	t.Helper()
	s := servertest.New(t)
	s.Kill()
	s.Wrap = func(s store.Store) store.Store { return mute{s} }
	s.Start()
	return s
}

// TestLinearizable is M1.5c as far as one server goes: the answer has what was
// acknowledged, and without the store's word there is none.
func TestLinearizable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := func(c servertest.Clients) (*musterv1.LookupResponse, error) {
			return c.Lookup(t.Context(), &musterv1.LookupRequest{
				Selector: servertest.Services("pay"), Consistency: musterv1.Consistency_CONSISTENCY_LINEARIZABLE,
			})
		}
		c := servertest.New(t).Dial()
		mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		if res, err := read(c); err != nil || len(res.GetInstances()) != 1 {
			t.Errorf("lookup = %v, %v", res, err)
		}
		start := time.Now()
		_, err := read(withMuteStore(t).Dial())
		wantReason(t, err, "VIEW_BEHIND")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("answered after %v, want 2 s", took)
		}
	})
}

// TestLookupUnchanged is rule 1.6: only if epoch, view_id, digest and count are
// equal, whatever the revision.
func TestLookupUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		first := lookup(t, c, "pay")
		if first.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_FULL {
			t.Fatalf("result = %v, want FULL", first.GetResult())
		}
		mustRegister(t, c, servertest.Instance("cart", "cart-1"))
		ask := func(change func(*musterv1.KnownView)) *musterv1.LookupResponse {
			t.Helper()
			k := knownOf(first.GetHeader())
			change(k)
			res, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: servertest.Services("pay"), Known: k})
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		same := ask(func(*musterv1.KnownView) {})
		if same.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED || len(same.GetInstances())+len(same.GetServices()) != 0 {
			t.Errorf("lookup = %v, want UNCHANGED without entries", same)
		}
		if same.GetHeader().GetRevision() <= first.GetHeader().GetRevision() {
			t.Error("the header does not carry the new revision (M1.6a)")
		}
		for name, change := range map[string]func(*musterv1.KnownView){
			"epoch":   func(k *musterv1.KnownView) { k.Epoch++ },
			"view_id": func(k *musterv1.KnownView) { k.ViewId++ },
			"digest":  func(k *musterv1.KnownView) { k.Digest++ },
			"count":   func(k *musterv1.KnownView) { k.Count++ },
		} {
			if res := ask(change); res.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_FULL || len(res.GetInstances()) != 1 {
				t.Errorf("another %s: %v, want FULL", name, res.GetResult())
			}
		}
		deregister(t, c, l)
		if res := ask(func(*musterv1.KnownView) {}); res.GetResult() != musterv1.LookupResult_LOOKUP_RESULT_FULL {
			t.Errorf("after a change: %v, want FULL", res.GetResult())
		}
	})
}

// TestLookupAnswersUpToItsLimit counts instances, not the states of services.
func TestLookupAnswersUpToItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t, func(c *server.Config) { c.Limits.LookupInstances = 3 }).Dial()
		for i := range 3 {
			mustRegister(t, c, servertest.Instance("pay", fmt.Sprint("pay-", i)))
		}
		if n := len(lookup(t, c, "pay").GetInstances()); n != 3 {
			t.Errorf("%d instances, want 3", n)
		}
		mustRegister(t, c, servertest.Instance("pay", "pay-3"))
		_, err := lookupAt(t.Context(), c, nil)
		wantReason(t, err, "RESULT_TOO_LARGE")
		if m := metadataOf(err); m["count"] != "4" || m["maximum"] != "3" {
			t.Errorf("metadata = %v, want count 4 and maximum 3", m)
		}
	})
}

// TestLookupHeaderIsThatOfTheSet: digest and count are those of what is sent,
// whether somebody watches it or not.
func TestLookupHeaderIsThatOfTheSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		for i := range 5 {
			in := servertest.Instance("pay", fmt.Sprint("pay-", i))
			in.Weight = new(uint32)
			in.Version = fmt.Sprintf("%d.0.0", i%2+1)
			mustRegister(t, c, in)
		}
		sel := servertest.Services("pay")
		sel.Filter = &musterv1.InstanceFilter{VersionRange: ">=2.0.0"}
		read := func() *musterv1.LookupResponse {
			res, err := c.Lookup(t.Context(), &musterv1.LookupRequest{Selector: sel})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(res.GetInstances()) + len(res.GetServices()); uint64(n) != res.GetHeader().GetCount() || n != 3 {
				t.Errorf("%d entries, count %d, want 3", n, res.GetHeader().GetCount())
			}
			return res
		}
		alone := read()
		w, err := c.Watch(t.Context(), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{{SubscriptionId: 1, Selector: sel}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := w.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		if watched := read(); watched.GetHeader().GetDigest() != alone.GetHeader().GetDigest() {
			t.Error("the digest differs when somebody watches")
		}
	})
}
