package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/servertest"
)

// TestProtocolsThatAreNotServed is M10b: refused for unary calls and streams,
// but not for GetServerInfo nor for the services of others.
func TestProtocolsThatAreNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		for version, want := range map[string]string{"1": "", "0": "PROTOCOL_NOT_SERVED", "2": "PROTOCOL_NOT_SERVED", "x": "PROTOCOL_NOT_SERVED"} {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "Muster-Protocol", version)
			_, err := c.Lookup(ctx, &musterv1.LookupRequest{Selector: servertest.Services("pay")})
			wantReason(t, err, want)
			if m := metadataOf(err); want != "" && (m["oldest"] != "1" || m["newest"] != "1") {
				t.Errorf("metadata = %v, want oldest and newest", m)
			}
			w, err := c.Watch(ctx, &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{subscription(1, nil, "pay")}})
			if err == nil {
				_, err = w.Recv()
			}
			wantReason(t, err, want)
			if _, err := c.GetServerInfo(ctx, &musterv1.GetServerInfoRequest{}); err != nil {
				t.Errorf("GetServerInfo in version %s: %v", version, err)
			}
			if _, err := healthv1.NewHealthClient(c.Conn).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil {
				t.Errorf("health in version %s: %v", version, err)
			}
		}
	})
}

// TestWhatIsNotServedIsRefusedByName is M9b, for every feature that this
// server lacks and that a request can need.
func TestWhatIsNotServedIsRefusedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		ctx := t.Context()
		l := mustRegister(t, c, servertest.Instance("pay", "pay-1"))
		checked := servertest.Instance("pay", "pay-2")
		checked.Checks = []*musterv1.HealthCheck{{Endpoint: "grpc"}}
		info, err := c.GetServerInfo(ctx, &musterv1.GetServerInfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		calls := map[string][]func() error{
			"checks": {
				func() error { _, err := c.Register(ctx, servertest.Register(time.Hour, checked)); return err },
				func() error {
					in := servertest.Instance("pay", "pay-1")
					in.Checks = checked.GetChecks()
					_, err := c.Update(ctx, &musterv1.UpdateRequest{LeaseId: l.GetLeaseId(), Instance: in, UpdateMask: mask("checks")})
					return err
				},
			},
			"overrides": {
				func() error { _, err := c.SetOverride(ctx, &musterv1.SetOverrideRequest{}); return err },
				func() error { _, err := c.DeleteOverride(ctx, &musterv1.DeleteOverrideRequest{}); return err },
				func() error { _, err := c.ListOverrides(ctx, &musterv1.ListOverridesRequest{}); return err },
			},
			"traffic_policy": {
				func() error { _, err := c.SetTrafficPolicy(ctx, &musterv1.SetTrafficPolicyRequest{}); return err },
			},
			"mass_expiry_guard": {
				func() error { _, err := c.SetHold(ctx, &musterv1.SetHoldRequest{}); return err },
			},
			"report_outcomes": {
				func() error { _, err := c.ReportOutcomes(ctx, &musterv1.ReportOutcomesRequest{}); return err },
			},
		}
		for _, f := range info.GetFeatures() {
			served := f.GetStage() != musterv1.FeatureStage_FEATURE_STAGE_NOT_SERVED
			if served && calls[f.GetName()] != nil {
				t.Errorf("%s is said to be served", f.GetName())
			}
			for i, call := range calls[f.GetName()] {
				err := call()
				wantReason(t, err, "FEATURE_NOT_SERVED")
				if status.Code(err) != codes.Unimplemented || metadataOf(err)["feature"] != f.GetName() {
					t.Errorf("%s, call %d: %v with %v, want Unimplemented and the feature's name", f.GetName(), i, err, metadataOf(err))
				}
			}
			delete(calls, f.GetName())
		}
		if len(calls) != 0 {
			t.Errorf("GetServerInfo does not name %v", calls)
		}
	})
}

// TestStreamsOfAConnectionAreBounded: watch and keepalive streams together, on
// one connection; an ended one makes room.
func TestStreamsOfAConnectionAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t, func(c *server.Config) { c.Limits.StreamsPerConnection = 2 })
		c := s.Dial()
		w := openWatch(t.Context(), t, c, "pay")
		k := openKeepAlive(t, c)
		k.renew(nil)
		refused := func() error {
			stream, err := c.Watch(t.Context(), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{subscription(1, nil, "pay")}})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		}
		err := refused()
		wantReason(t, err, "LIMIT_EXCEEDED")
		if m := metadataOf(err); m["limit"] != "streams_per_connection" || m["maximum"] != "2" || m["value"] != "3" {
			t.Errorf("metadata = %v", m)
		}
		openWatch(t.Context(), t, s.Dial(), "pay") // another connection has its own
		w.cancel()
		synctest.Wait()
		openWatch(t.Context(), t, c, "pay")
		k.cancel()
		synctest.Wait()
		openKeepAlive(t, c).renew(nil)
	})
}

// TestRequestsAreBounded: what is above request_bytes never reaches a handler.
func TestRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t, func(c *server.Config) { c.Limits.RequestBytes = 1000 }).Dial()
		in := servertest.Instance("pay", "pay-1")
		in.Metadata = map[string]string{"x": string(make([]byte, 2000))}
		_, err := c.Register(t.Context(), servertest.Register(time.Hour, in))
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("register = %v, want ResourceExhausted", err)
		}
	})
}

// TestRegistrationThatNoCommitHolds: each instance is valid, all together are
// too large, and nothing is registered.
func TestRegistrationThatNoCommitHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		var all []*musterv1.Instance
		for i := range 40 {
			in := servertest.Instance("pay", fmt.Sprint("pay-", i))
			in.Metadata = map[string]string{"x": strings.Repeat("x", 16_000)}
			in.Endpoints = nil
			for j := range 16 {
				in.Endpoints = append(in.Endpoints, &musterv1.Endpoint{
					Name: fmt.Sprint("e", j), Address: "10.0.0.1:80", ServerName: strings.Repeat(strings.Repeat("s", 60)+".", 4) + "s", Authority: strings.Repeat("a", 255),
				})
			}
			for j := range 64 {
				in.Capabilities = append(in.Capabilities, fmt.Sprintf("%063d", j))
			}
			all = append(all, in)
		}
		_, err := c.Register(t.Context(), servertest.Register(time.Hour, all...))
		wantReason(t, err, "LIMIT_EXCEEDED")
		if m := metadataOf(err); m["limit"] != "mutation_bytes" || m["maximum"] != "1048576" || m["value"] == "" {
			t.Errorf("metadata = %v", m)
		}
		if n := len(lookup(t, c, "pay").GetInstances()); n != 0 {
			t.Errorf("%d instances", n)
		}
	})
}

// TestKeepAliveErrors are those that end the stream.
func TestKeepAliveErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t, func(c *server.Config) { c.Limits.LeasesPerKeepalive = 2 }).Dial()
		for _, x := range []struct {
			requests []*musterv1.KeepAliveRequest
			want     string
		}{
			{[]*musterv1.KeepAliveRequest{{Sequence: 0}}, "INVALID_ARGUMENT"},
			{[]*musterv1.KeepAliveRequest{{Sequence: 2}, {Sequence: 2}}, "INVALID_ARGUMENT"},
			{[]*musterv1.KeepAliveRequest{{Sequence: 1, LeaseIds: []string{"a", "b", "c"}}}, "LIMIT_EXCEEDED"},
			{[]*musterv1.KeepAliveRequest{{Sequence: 1, LeaseIds: []string{"a"}, Reports: []*musterv1.HealthReport{{LeaseIndex: 1}}}}, "INVALID_ARGUMENT"},
		} {
			stream, err := c.KeepAlive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range x.requests {
				if err := stream.Send(r); err != nil {
					t.Fatal(err)
				}
				_, err = stream.Recv()
			}
			wantReason(t, err, x.want)
		}
	})
}

// TestManyLeasesOnOneStream: exceptions name the right positions.
func TestManyLeasesOnOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := servertest.New(t).Dial()
		var ids []string
		var lost []uint32
		for i := range 100 {
			l := mustRegister(t, c, servertest.Instance("pay", fmt.Sprint("pay-", i)))
			if ids = append(ids, l.GetLeaseId()); i%7 == 0 {
				deregister(t, c, l)
				lost = append(lost, uint32(i))
			}
		}
		res := openKeepAlive(t, c).renew(ids)
		var got []uint32
		for _, x := range res.GetExceptions() {
			if x.GetLost().GetReason() != musterv1.ErrorReason_ERROR_REASON_LEASE_UNKNOWN {
				t.Errorf("exception = %v", x)
			}
			got = append(got, x.GetLeaseIndex())
		}
		if !slices.Equal(got, lost) {
			t.Errorf("lost are %v, want %v", got, lost)
		}
	})
}

// TestClientPingsAreAllowed is M8.5a: pings every 10 s, with and without
// streams, do not cost the connection.
func TestClientPingsAreAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial(grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}))
		lookup(t, c, "pay")
		before := c.Conn.GetState()
		time.Sleep(5 * time.Minute)
		w := openWatch(t.Context(), t, c, "nothing")
		go func() {
			for {
				if _, err := w.stream.Recv(); err != nil {
					return
				}
			}
		}()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if now := c.Conn.GetState(); now != before {
			t.Errorf("connection is %v, was %v", now, before)
		}
		if _, err := c.AckWatch(t.Context(), &musterv1.AckWatchRequest{StreamId: w.streamID, Epoch: 1}); err != nil {
			t.Errorf("the stream did not outlive the pings: %v", err)
		}
	})
}

func TestHealthAndReflection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t)
		c := s.Dial()
		h := healthv1.NewHealthClient(c.Conn)
		for _, name := range []string{"", "muster.v1.RegistrationService", "muster.v1.DiscoveryService"} {
			res, err := h.Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
			if err != nil || res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				t.Errorf("health of %q = %v, %v", name, res, err)
			}
		}
		r, err := reflectionv1.NewServerReflectionClient(c.Conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err = r.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		res, err := r.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range res.GetListServicesResponse().GetService() {
			names = append(names, s.GetName())
		}
		for _, want := range []string{"muster.v1.RegistrationService", "muster.v1.DiscoveryService", "muster.v1.ServerService", "muster.v1.AdminService", "grpc.health.v1.Health"} {
			if !slices.Contains(names, want) {
				t.Errorf("reflection does not list %s: %v", want, names)
			}
		}
		if err := r.CloseSend(); err != nil {
			t.Fatal(err)
		}
		watch, err := h.Watch(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if res, err := watch.Recv(); err != nil || res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Fatalf("health watch = %v, %v", res, err)
		}
		go s.Stop()
		if res, err := watch.Recv(); err != nil || res.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
			t.Errorf("health while the server stops = %v, %v; want NOT_SERVING", res, err)
		}
	})
}

// TestServerInfoIsWhole: what clients size themselves by.
func TestServerInfoIsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t, func(c *server.Config) { c.Version = "1.2.3" })
		c := s.Dial()
		info := func() *musterv1.GetServerInfoResponse {
			res, err := c.GetServerInfo(context.Background(), &musterv1.GetServerInfoRequest{})
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		time.Sleep(time.Minute)
		a := info()
		if a.GetServerVersion() != "1.2.3" || a.GetLimits().GetLookupInstances() != 10_000 || a.GetUptime().AsDuration() != time.Minute || a.GetPosition().GetEpoch() == 0 {
			t.Errorf("info = %v", a)
		}
		s.Stop()
		s.Start()
		c = s.Dial()
		if b := info(); b.GetServerId() == a.GetServerId() || b.GetClusterId() != a.GetClusterId() || b.GetPosition().GetEpoch() != a.GetPosition().GetEpoch() {
			t.Errorf("after a restart %v, before %v: want a new server_id, and the same cluster and epoch", b, a)
		}
	})
}
