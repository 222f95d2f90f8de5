package mustertest

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/muster-registry/muster/client-go"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// inBubble runs a test against a registry in virtual time. Goroutines that are
// left over fail it.
func inBubble(t *testing.T, run func(t *testing.T, r *Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, NewRegistry(t)) })
}

// raw speaks the protocol by hand.
type raw struct {
	t *testing.T
	musterv1.RegistrationServiceClient
	musterv1.DiscoveryServiceClient
	info musterv1.ServerServiceClient
}

func newRaw(t *testing.T, r *Registry) raw {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+Address, grpc.WithContextDialer(r.Dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return raw{
		t, musterv1.NewRegistrationServiceClient(conn), musterv1.NewDiscoveryServiceClient(conn),
		musterv1.NewServerServiceClient(conn),
	}
}

// reasonOf is the reason of an error, "" if there is none.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "muster" {
			return info.GetReason()
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func mustReason(t *testing.T, err error, want string) {
	t.Helper()
	if got := reasonOf(err); got != want {
		t.Fatalf("%v: reason %q, want %q", err, got, want)
	}
}

const firstRequest, secondRequest, thirdRequest = "request-00000001", "request-00000002", "request-00000003"

func instance(id string) *musterv1.Instance {
	return &musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: id,
		Endpoints: []*musterv1.Endpoint{{Name: "grpc", Address: "10.0.0.1:8080"}},
	}
}

func registration(request string, ids ...string) *musterv1.RegisterRequest {
	req := &musterv1.RegisterRequest{RequestId: request}
	for _, id := range ids {
		req.Instances = append(req.Instances, instance(id))
	}
	return req
}

func (c raw) register(req *musterv1.RegisterRequest) *musterv1.RegisterResponse {
	c.t.Helper()
	res, err := c.Register(c.t.Context(), req)
	if err != nil {
		c.t.Fatalf("Register: %v", err)
	}
	return res
}

func spec(id string) muster.InstanceSpec {
	return muster.InstanceSpec{Namespace: "shop", Service: "pay", ID: id}
}

func selectPay() *musterv1.Selector {
	return &musterv1.Selector{Names: &musterv1.Selector_Services{Services: &musterv1.ServiceNames{
		Names: []*musterv1.ServiceName{{Namespace: "shop", Service: "pay"}},
	}}}
}

// watch opens a stream of one subscription; features are the client's.
func (c raw) watch(features string, resume *musterv1.KnownView) *frames {
	c.t.Helper()
	return c.watchSelector(features, selectPay(), resume)
}

func (c raw) watchSelector(features string, sel *musterv1.Selector, resume *musterv1.KnownView) *frames {
	c.t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(c.t.Context(),
		"muster-protocol", "1", "muster-features", features, "muster-client-name", "raw"))
	stream, err := c.Watch(ctx, &musterv1.WatchRequest{
		Subscriptions: []*musterv1.Subscription{{SubscriptionId: 1, Selector: sel, Resume: resume}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cancel)
	f := &frames{t: c.t, stream: stream, leave: cancel}
	f.opened = f.next().GetOpened()
	if f.opened == nil {
		c.t.Fatal("the first frame is no Opened")
	}
	return f
}

// frames is a stream that is read by hand.
type frames struct {
	t      *testing.T
	stream grpc.ServerStreamingClient[musterv1.WatchResponse]
	opened *musterv1.Opened
	leave  context.CancelFunc
}

func (f *frames) next() *musterv1.WatchResponse {
	f.t.Helper()
	frame, err := f.stream.Recv()
	if err != nil {
		f.t.Fatalf("Recv: %v", err)
	}
	return frame
}

func (f *frames) snapshot(cause musterv1.SnapshotCause) *musterv1.Snapshot {
	f.t.Helper()
	frame := f.next()
	s := frame.GetSnapshot()
	if s == nil || s.GetCause() != cause {
		f.t.Fatalf("frame %v, want a snapshot %v", frame, cause)
	}
	return s
}

func (f *frames) delta() *musterv1.Delta {
	f.t.Helper()
	frame := f.next()
	if frame.GetDelta() == nil {
		f.t.Fatalf("frame %v, want a delta", frame)
	}
	return frame.GetDelta()
}

func (f *frames) progress() *musterv1.Progress {
	f.t.Helper()
	frame := f.next()
	if frame.GetProgress() == nil {
		f.t.Fatalf("frame %v, want a progress", frame)
	}
	return frame.GetProgress()
}

func known(h *musterv1.ViewHeader) *musterv1.KnownView {
	return &musterv1.KnownView{
		Epoch: h.GetEpoch(), Revision: h.GetRevision(), ViewId: h.GetViewId(), Digest: h.GetDigest(), Count: h.GetCount(),
	}
}

func idsOf(instances []*muster.Instance) []string {
	list := []string{}
	for _, i := range instances {
		list = append(list, i.ID)
	}
	return list
}

// reach waits in virtual time until a subscription shows these instances.
func reach(t *testing.T, sub *muster.Subscription, within time.Duration, ids ...string) *muster.View {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		v := sub.View()
		if slices.Equal(idsOf(v.Instances()), ids) {
			return v
		}
		select {
		case <-v.Superseded():
		case <-deadline.C:
			t.Fatalf("%v after %v, want %v", idsOf(v.Instances()), within, ids)
		}
	}
}

func subscribe(t *testing.T, c *muster.Client) *muster.Subscription {
	t.Helper()
	sub, err := c.Subscribe(muster.Service("shop", "pay"))
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func register(t *testing.T, c *muster.Client, specs ...muster.InstanceSpec) *muster.Registration {
	t.Helper()
	reg, err := c.Register(t.Context(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// unharmed tells whether a client found nothing wrong with what it was sent.
func unharmed(t *testing.T, c *muster.Client) {
	t.Helper()
	s := c.Stats()
	if s.DigestMismatches+s.Violations+s.UnverifiedViews+s.EpochRegressions != 0 {
		t.Errorf("the client complains: %+v", s)
	}
}
