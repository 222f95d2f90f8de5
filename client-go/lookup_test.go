package muster

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func mustLookup(t *testing.T, c *Client, options ...LookupOption) *View {
	t.Helper()
	v, err := c.Lookup(t.Context(), Service("shop", "pay"), options...)
	if err != nil {
		t.Fatalf("Lookup: %v", err)
	}
	return v
}

func TestLookupIsNotSentWhatItKnows(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		first := mustLookup(t, c)
		r.Put(instance("cart", "cart-1")) // moves the revision alone
		second := mustLookup(t, c)
		requests := fakeregistry.Calls[*musterv1.LookupRequest](r)
		if k := requests[1].GetKnown(); requests[0].GetKnown() != nil || k.GetRevision() != first.Revision() || k.GetDigest() != first.Digest() {
			t.Errorf("known %v", k)
		}
		if second.Revision() <= first.Revision() || second.Instances()[0] != first.Instances()[0] || second.Source() != SourceRegistry {
			t.Errorf("%v after %v, %v", second.Position(), first.Position(), second.Source())
		}
		r.Put(instance("pay", "pay-2"))
		if diff := cmp.Diff([]string{"pay-1", "pay-2"}, ids(mustLookup(t, c))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLookupAsksAgainForWhatIsNotUnchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		first := mustLookup(t, c)
		wrong := &musterv1.LookupResponse{
			Header: &musterv1.ViewHeader{Epoch: 7, Revision: 500, ViewId: first.viewID, Digest: first.digest + 1, Count: first.count},
			Result: musterv1.LookupResult_LOOKUP_RESULT_UNCHANGED,
		}
		r.OnLookup = func(req *musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
			if req.GetKnown() != nil {
				return wrong, nil
			}
			return nil, nil
		}
		if v := mustLookup(t, c); v.Revision() != first.Revision() || len(v.Instances()) != 1 {
			t.Errorf("%v %v", v.Position(), ids(v))
		}
		r.OnLookup = func(*musterv1.LookupRequest) (*musterv1.LookupResponse, error) { return wrong, nil }
		if _, err := c.Lookup(t.Context(), Service("shop", "pay")); ReasonOf(err) != ReasonProtocolViolation {
			t.Errorf("an answer that is unchanged from nothing: %v", err)
		}
	})
}

func TestLookupIsStaleOnlyIfAllowed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		dir := t.TempDir()
		c := newCachedClient(t, r, dir)
		first := mustLookup(t, c)
		time.Sleep(time.Second)
		a.Stop()
		if _, err := c.Lookup(timeout(t, time.Second), Service("shop", "pay")); !errors.Is(err, ErrNoServer) {
			t.Errorf("without leave: %v", err)
		}
		v := mustLookup(t, c, AllowStale())
		if v.Source() != SourceMemory || v.Position() != first.Position() || v.Age() < time.Second {
			t.Errorf("from memory: %v %v %v", v.Source(), v.Position(), v.Age())
		}
		closeClient(t, c)
		other := newCachedClient(t, r, dir)
		if v := mustLookup(t, other, AllowStale()); v.Source() != SourceDisk || len(v.Instances()) != 1 {
			t.Errorf("from disk: %v %v", v.Source(), ids(v))
		}
		if _, err := other.Lookup(timeout(t, time.Second), Service("shop", "cart"), AllowStale()); !errors.Is(err, ErrNoServer) {
			t.Errorf("with leave, but nothing known: %v", err)
		}
	})
}

func TestStaleLookupTriesEachServerOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		b := r.Server("b:1")
		c := newTestClient(t, r, "a:1", "b:1")
		mustLookup(t, c)
		took := func(source Source) time.Duration {
			t.Helper()
			began := time.Now()
			if v := mustLookup(t, c, AllowStale()); v.Source() != source {
				t.Errorf("source %v, want %v", v.Source(), source)
			}
			return time.Since(began)
		}
		a.Stop()
		if d := took(SourceRegistry); d != 0 {
			t.Errorf("the other server after %v", d)
		}
		b.Stop()
		synctest.Wait()
		if d := took(SourceMemory); d != 0 {
			t.Errorf("refused by all: after %v", d)
		}
		a.Start()
		a.Mute(true)
		time.Sleep(time.Second) // attempts of the same moment are shared
		if d := took(SourceMemory); d != defaults.ConnectTimeout {
			t.Errorf("one is silent: after %v, want %v", d, defaults.ConnectTimeout)
		}
		began := time.Now()
		if _, err := c.Lookup(t.Context(), Service("shop", "cart"), AllowStale()); !errors.Is(err, ErrNoServer) {
			t.Errorf("nothing known: %v", err)
		}
		if d := time.Since(began); d < 4*time.Second {
			t.Errorf("nothing known: given up after %v", d)
		}
	})
}

func TestLookupRemembersTheNewestView(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Put(instance("pay", "pay-1"))
		c := newTestClient(t, r)
		mustLookup(t, c)
		sub := mustSubscribe(t, c, "pay")
		r.Put(instance("pay", "pay-2"))
		mustWait(t, sub, 2)
		a.Stop()
		if v := mustLookup(t, c, AllowStale()); len(v.Instances()) != 2 {
			t.Errorf("%v, though the subscription knows more", ids(v))
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	a, v := newAnswers(), &View{position: Position{7, 10}}
	for n := range answersKept {
		a.put(fmt.Sprint(n), v)
	}
	a.get("0")
	a.put("one more", v)
	if a.get("0") == nil || a.get("1") != nil || len(a.views) != answersKept {
		t.Errorf("%d kept; the one used longest ago must go", len(a.views))
	}
	a.put("0", &View{position: Position{7, 9}})
	if a.get("0") != v {
		t.Error("a late answer replaced a later one")
	}
}
