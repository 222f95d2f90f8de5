package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/registry"
	"github.com/muster-registry/muster/server/servertest"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/storetest"
)

// serving is a server whose Serve a test watches.
type serving struct {
	server *server.Server
	store  *storetest.Memory
	cancel context.CancelFunc
	served chan error
	client servertest.Clients
}

func serve(t *testing.T) *serving {
	t.Helper()
	s := &serving{store: storetest.NewMemory(), served: make(chan error, 1)}
	cfg := server.DefaultConfig()
	cfg.Log = slog.New(slog.DiscardHandler)
	var err error
	if s.server, err = server.OpenOn(cfg, s.store); err != nil {
		t.Fatal(err)
	}
	lis := bufconn.Listen(1 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() { s.served <- s.server.Serve(ctx, lis) }()
	cc, err := grpc.NewClient("passthrough:///muster", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithIdleTimeout(0),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	s.client = servertest.Clients{
		RegistrationServiceClient: musterv1.NewRegistrationServiceClient(cc), DiscoveryServiceClient: musterv1.NewDiscoveryServiceClient(cc),
		ServerServiceClient: musterv1.NewServerServiceClient(cc), AdminServiceClient: musterv1.NewAdminServiceClient(cc), Conn: cc,
	}
	t.Cleanup(func() {
		cancel()
		_ = cc.Close()
		if err := s.server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// TestServeEndsWithWhatCannotBeApplied: a server that cannot follow the history
// must not go on serving an old view.
func TestServeEndsWithWhatCannotBeApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		l := mustRegister(t, s.client, servertest.Instance("pay", "pay-1"))
		const key = "/i/shop/pay/pay-2"
		s.store.Propose(store.Mutation{
			Guards: []store.Guard{{Key: key}}, Puts: []store.Put{{Key: key, Value: []byte("not a record")}},
		}, func(store.Outcome, error) {})
		err := <-s.served
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("serve = %v, want what could not be applied", err)
		}
		if _, _, err := s.server.Registry().Deregister(t.Context(), &musterv1.DeregisterRequest{LeaseId: l.GetLeaseId()}, registry.Caller{}); err == nil {
			t.Error("a write was answered that no view shows")
		}
	})
}

func TestServeEndsWhenTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		burning := errors.New("the disk burns")
		s.store.Fail(burning, false)
		if err := <-s.served; !errors.Is(err, burning) {
			t.Errorf("serve = %v, want the store's reason", err)
		}
	})
}

func TestServeEndsWithoutErrorWhenToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		s.cancel()
		if err := <-s.served; err != nil {
			t.Errorf("after the context ended: %v", err)
		}
		s = serve(t)
		synctest.Wait()
		if err := s.server.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-s.served; err != nil {
			t.Errorf("after Close: %v", err)
		}
	})
}

// stopped ends a server, and wants it to end within its timeout.
func (s *serving) stopped(t *testing.T) {
	t.Helper()
	synctest.Wait()
	start := time.Now()
	s.cancel()
	if err := <-s.served; err != nil {
		t.Errorf("serve = %v", err)
	}
	if took := time.Since(start); took != server.DefaultShutdownTimeout {
		t.Errorf("the stop took %v, want %v", took, server.DefaultShutdownTimeout)
	}
}

// TestStopCutsWatchersThatDoNotRead, in time, and nobody loses a lease
// meanwhile (M6.8b).
func TestStopCutsWatchersThatDoNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		heavy(t, s.client, 50)
		stream, err := s.client.Watch(t.Context(), &musterv1.WatchRequest{Subscriptions: []*musterv1.Subscription{subscription(1, nil, "pay")}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client.Register(t.Context(), servertest.Register(3*time.Second, servertest.Instance("pay", "short"))); err != nil {
			t.Fatal(err)
		}
		s.stopped(t)
		if v := s.server.Registry().View(); v.Instances() != 51 {
			t.Errorf("%d instances, want 51: nobody may expire while nobody can renew", v.Instances())
		}
	})
}

// TestStopCutsCallsThatWaitForTheStore, in time.
func TestStopCutsCallsThatWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t)
		s.store.Hold()
		errs := make(chan error, 1)
		go func() {
			_, err := s.client.Register(context.WithoutCancel(t.Context()), servertest.Register(time.Hour, servertest.Instance("pay", "late")))
			errs <- err
		}()
		s.stopped(t)
		if err := <-errs; err == nil {
			t.Error("a registration was answered that the store never had")
		}
	})
}
