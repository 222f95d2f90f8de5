package muster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func TestNewDoesNoIO(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		newTestClient(t, r)
		time.Sleep(time.Minute)
		if n := a.Dials(); n != 0 {
			t.Errorf("New dialled %d times", n)
		}
	})
}

func TestStory1NoServer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		a.Stop()
		c := newTestClient(t, r)
		c.config.words = func() uint64 { return 1 << 63 }
		err := c.Ready(timeout(t, 2*time.Second))
		if !errors.Is(err, ErrNoServer) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		const before, after = "muster: no registry server reachable: a:1 (connection refused); ", `. Is "muster server" running? [NO_SERVER]`
		if text := err.Error(); !strings.HasPrefix(text, before) || !strings.HasSuffix(text, after) || !strings.Contains(text, "gave up") {
			t.Errorf("text %q", text)
		}
		status := c.Status()
		if status.Err == nil || !strings.Contains(status.Err.Error(), "still retrying") {
			t.Errorf("status %+v", status)
		}
		a.Start()
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status := c.Status(); status.Err != nil || status.Server != "a:1" || status.ClusterID != "c1" {
			t.Errorf("status %+v", status)
		}
	})
}

func TestStory1Text(t *testing.T) {
	got := noServerError([]serverFailure{{"127.0.0.1:7070", "connection refused"}}, 3, 1900*time.Millisecond).Error()
	want := `muster: no registry server reachable: 127.0.0.1:7070 (connection refused); 3 attempts in 1.9s, still retrying. Is "muster server" running? [NO_SERVER]`
	if got != want {
		t.Errorf("text\n%s\nwant\n%s", got, want)
	}
}

func TestRegisterWithoutServerGivesTheSameError(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		a.Stop()
		c := newTestClient(t, r)
		began := time.Now()
		_, err := c.Register(context.Background(), spec("pay-1"))
		if !errors.Is(err, ErrNoServer) {
			t.Fatalf("error %v", err)
		}
		if d := time.Since(began); d != defaults.CallTimeout {
			t.Errorf("without a deadline it took %v, want %v", d, defaults.CallTimeout)
		}
	})
}

func TestServerOfAnotherClusterIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server) {
		r.Server("b:1")
		r.OnInfo = func(address string) (*musterv1.GetServerInfoResponse, error) {
			if address == "b:1" {
				return &musterv1.GetServerInfoResponse{ClusterId: "c2", OldestProtocol: 1, NewestProtocol: 1}, nil
			}
			return nil, nil
		}
		c := newTestClient(t, r, "a:1", "b:1")
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.Stop()
		synctest.Wait()
		err := c.Ready(timeout(t, 2*time.Second))
		want := "server b:1 belongs to cluster c2, expected c1; trying others. Check the server list [WRONG_CLUSTER]"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v\nwant %s", err, want)
		}
	})
}

func TestServerOfAnotherProtocolIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnInfo = func(string) (*musterv1.GetServerInfoResponse, error) {
			return &musterv1.GetServerInfoResponse{ClusterId: "c1", OldestProtocol: 2, NewestProtocol: 4}, nil
		}
		c := newTestClient(t, r)
		err := c.Ready(timeout(t, time.Second))
		if err == nil || !strings.Contains(err.Error(), "serves protocol versions 2 to 4, this client speaks 1") {
			t.Errorf("error %v", err)
		}
	})
}

func TestStory14PlaintextServer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c, err := New([]string{"a:1"}, WithDial(r.Dial), WithTLS(TLSConfig{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeClient(t, c) })
		err = c.Ready(timeout(t, time.Second))
		if err == nil || !strings.Contains(err.Error(), "(server a:1 speaks plaintext, TLS was configured)") {
			t.Errorf("error %v", err)
		}
	})
}

func TestCallsFailOverAtOnceThenBackOff(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.Server("b:1")
		r.OnLookup = func(*musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
			return nil, fakeregistry.Fault(codes.Unavailable, musterv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN, "stopping", nil)
		}
		c := newTestClient(t, r, "a:1", "b:1")
		_, err := c.Lookup(timeout(t, 3*time.Second), Service("shop", "pay"))
		if ReasonOf(err) != ReasonDeadline || !strings.Contains(err.Error(), "last: lookup shop/pay: server") {
			t.Fatalf("error %v", err)
		}
		var tries []fakeregistry.Call
		for _, call := range r.Log() {
			if _, ok := call.Request.(*musterv1.LookupRequest); ok {
				tries = append(tries, call)
			}
		}
		if len(tries) < 4 || len(tries) > 40 {
			t.Fatalf("%d tries in 3s", len(tries))
		}
		if d := tries[1].At.Sub(tries[0].At); d != 0 || tries[0].Server == tries[1].Server {
			t.Errorf("the second try came %v later at %s", d, tries[1].Server)
		}
		if d := tries[2].At.Sub(tries[1].At); d < 50*time.Millisecond {
			t.Errorf("the third try came after only %v", d)
		}
	})
}

func TestLookupSeesOwnWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		c := newTestClient(t, r)
		if _, err := c.Lookup(t.Context(), Service("shop", "pay")); err != nil {
			t.Fatal(err)
		}
		mustRegister(t, c, spec("pay-1"))
		v, err := c.Lookup(t.Context(), Service("shop", "pay"))
		if err != nil || len(v.Instances()) != 1 || v.Source() != SourceRegistry || v.Freshness() != Fresh {
			t.Fatalf("view %+v, error %v", v, err)
		}
		requests := fakeregistry.Calls[*musterv1.LookupRequest](r)
		if requests[0].GetMinPosition() != nil {
			t.Error("a client that wrote nothing asked for a position")
		}
		if m := requests[1].GetMinPosition(); m.GetEpoch() != 7 || m.GetRevision() != 101 {
			t.Errorf("position %v after a write at 7/101", m)
		}
		r.NewEpoch(+1)
		if _, err := c.Lookup(t.Context(), Service("shop", "pay")); err != nil {
			t.Errorf("lookup in a new epoch: %v", err)
		}
	})
}

func TestLookupVerifiesTheDigest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fakeregistry.Registry, _ *fakeregistry.Server) {
		r.OnLookup = func(*musterv1.LookupRequest) (*musterv1.LookupResponse, error) {
			return &musterv1.LookupResponse{
				Header:    &musterv1.ViewHeader{Epoch: 7, Revision: 100, Digest: 1, Count: 1},
				Instances: []*musterv1.Instance{instance("pay", "pay-1")},
			}, nil
		}
		c := newTestClient(t, r)
		if _, err := c.Lookup(t.Context(), Service("shop", "pay")); ReasonOf(err) != ReasonProtocolViolation {
			t.Errorf("error %v", err)
		}
	})
}
