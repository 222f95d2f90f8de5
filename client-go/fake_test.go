package muster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// inBubble runs a test against a fake registry with the server "a:1", in
// virtual time. Goroutines that are left over fail it.
func inBubble(t *testing.T, run func(t *testing.T, r *fakeregistry.Registry, a *fakeregistry.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := fakeregistry.New()
		t.Cleanup(r.Close) // after the clients
		run(t, r, r.Server("a:1"))
	})
}

// newTestClient is a client of the fake's servers that is closed at the end.
func newTestClient(t *testing.T, r *fakeregistry.Registry, servers ...string) *Client {
	t.Helper()
	if len(servers) == 0 {
		servers = []string{"a:1"}
	}
	c, err := New(servers, WithDial(r.Dial), WithName(t.Name()), inOrder)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { closeClient(t, c) })
	return c
}

// inOrder makes a client try servers as they are listed.
func inOrder(c *Config) { c.orderWord = func() uint64 { return 0 } }

func closeClient(t *testing.T, c *Client) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func spec(id string) InstanceSpec {
	return InstanceSpec{
		Namespace: "shop", Service: "pay", ID: id,
		Endpoints: []EndpointSpec{{Address: "10.0.0.1:8080"}},
	}
}

func mustRegister(t *testing.T, c *Client, specs ...InstanceSpec) *Registration {
	t.Helper()
	reg, err := c.Register(t.Context(), specs...)
	if err != nil {
		t.Fatalf("Register: %v", err)
	}
	return reg
}

func mustSubscribe(t *testing.T, c *Client, services ...string) *Subscription {
	t.Helper()
	var selector Selector
	for _, s := range services {
		selector.Services = append(selector.Services, ServiceName{"shop", s})
	}
	sub, err := c.Subscribe(selector)
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	return sub
}

func mustWait(t *testing.T, s *Subscription, least int) *View {
	t.Helper()
	v, err := s.Wait(t.Context(), least)
	if err != nil {
		t.Fatalf("Wait(%d): %v", least, err)
	}
	return v
}

// reach waits in virtual time until the state of a registration is as wanted.
func reach(t *testing.T, reg *Registration, want RegistrationState, within time.Duration) RegistrationStatus {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		status := reg.Status()
		if status.State == want {
			return status
		}
		select {
		case <-status.Superseded():
		case <-deadline.C:
			t.Fatalf("state %v (%s) after %v, want %v", status.State, status.Reason, within, want)
		}
	}
}

// until waits in virtual time for a condition; a test's last resort.
func until(t *testing.T, within time.Duration, what string, condition func() bool) {
	t.Helper()
	for began := time.Now(); ; {
		synctest.Wait()
		if condition() {
			return
		}
		if time.Since(began) >= within {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(time.Millisecond) // virtual
	}
}

func instance(service, id string) *musterv1.Instance {
	return &musterv1.Instance{
		Namespace: "shop", Service: service, InstanceId: id,
		Endpoints: []*musterv1.Endpoint{{Name: "grpc", Address: "10.0.0.1:8080"}},
	}
}

func ids(v *View) []string {
	list := []string{}
	for _, i := range v.Instances() {
		list = append(list, i.ID)
	}
	return list
}

func timeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
