package mustergrpc

import (
	"context"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/fakeregistry"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// TestMain starts the machinery of signals outside of any bubble: Serve would
// start it inside of one, where its goroutine must not be.
func TestMain(m *testing.M) {
	// A proxy that nobody runs, which channels must not use.
	_ = os.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	signal.Stop(c)
	os.Exit(m.Run())
}

// fleet is endpoints in memory, by address.
type fleet struct {
	mu        sync.Mutex
	listeners map[string]*bufconn.Listener
	servers   map[string]*grpc.Server
	served    sync.WaitGroup
	dials     map[string]int
	open      map[string]int
	mute      map[string]bool
	muted     []net.Conn
	options   []grpc.ServerOption
	// failing endpoints answer every call with this code.
	failing map[string]codes.Code
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{
		listeners: map[string]*bufconn.Listener{}, servers: map[string]*grpc.Server{},
		dials: map[string]int{}, open: map[string]int{}, mute: map[string]bool{},
		failing: map[string]codes.Code{},
	}
	t.Cleanup(func() {
		f.mu.Lock()
		servers := f.servers
		f.servers = map[string]*grpc.Server{}
		muted := f.muted
		f.mu.Unlock()
		for _, s := range servers {
			s.Stop()
		}
		for _, c := range muted {
			c.Close()
		}
		f.served.Wait()
	})
	return f
}

// start serves the standard health service, and names its address in a header.
func (f *fleet) start(address string) {
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(append(f.options,
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			authority := ""
			if md, ok := metadata.FromIncomingContext(ctx); ok && len(md.Get(":authority")) > 0 {
				authority = md.Get(":authority")[0]
			}
			_ = grpc.SetHeader(ctx, metadata.Pairs("endpoint", address, "authority", authority))
			if code := f.fails(address); code != codes.OK {
				return nil, status.Error(code, "as told")
			}
			return handle(ctx, req)
		}))...)
	healthpb.RegisterHealthServer(server, health.NewServer())
	f.mu.Lock()
	f.listeners[address], f.servers[address] = listener, server
	f.mu.Unlock()
	f.served.Go(func() { _ = server.Serve(listener) })
}

// fail makes an endpoint answer with a code from now on.
func (f *fleet) fail(address string, code codes.Code) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing[address] = code
}

func (f *fleet) fails(address string) codes.Code {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failing[address]
}

// stop breaks an endpoint's connections and refuses new ones.
func (f *fleet) stop(address string) {
	f.mu.Lock()
	server := f.servers[address]
	delete(f.servers, address)
	delete(f.listeners, address)
	f.mu.Unlock()
	server.Stop()
}

func (f *fleet) dial(ctx context.Context, address string) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials[address]++
	if f.mute[address] {
		ours, theirs := net.Pipe()
		f.muted = append(f.muted, theirs)
		return ours, nil
	}
	listener := f.listeners[address]
	if listener == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	conn, err := listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	f.open[address]++
	return &countedConn{Conn: conn, closed: func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open[address]--
	}}, nil
}

// countedConn tells when it is closed first.
type countedConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// connections is how many connections to an endpoint are open.
func (f *fleet) connections(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[address]
}

func (f *fleet) dialled(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dials[address]
}

// world is a fake registry, a client of it, endpoints and a channel.
type world struct {
	registry *fakeregistry.Registry
	server   *fakeregistry.Server
	client   *muster.Client
	fleet    *fleet
}

// inBubble runs a test in virtual time. What is left over fails it.
func inBubble(t *testing.T, run func(t *testing.T, w *world), options ...muster.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{registry: fakeregistry.New()}
		t.Cleanup(w.registry.Close)
		w.server = w.registry.Server("a:1")
		client, err := muster.New([]string{"a:1"}, append(options, muster.WithDial(w.registry.Dial))...)
		if err != nil {
			t.Fatal(err)
		}
		w.client = client
		w.fleet = newFleet(t)
		t.Cleanup(func() { _ = client.Close() })
		run(t, w)
	})
}

func (w *world) channel(t *testing.T, options ...grpc.DialOption) healthpb.HealthClient {
	t.Helper()
	return healthpb.NewHealthClient(w.conn(t, options...))
}

func (w *world) conn(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := NewClient(w.client, "muster:///shop/pay", append(options, grpc.WithContextDialer(w.fleet.dial))...)
	if err != nil {
		t.Fatalf("NewClient: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// put registers an instance at an address, edited.
func (w *world) put(id, address string, edits ...func(*musterv1.Instance)) {
	i := &musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: id,
		Endpoints: []*musterv1.Endpoint{{Name: "grpc", Address: address, Protocol: musterv1.Protocol_PROTOCOL_GRPC}},
	}
	for _, edit := range edits {
		edit(i)
	}
	w.registry.Put(i)
}

func (w *world) remove(reason musterv1.RemovalReason, id string) {
	w.registry.Remove(reason, "shop/pay/"+id)
}

// call makes one call and returns which endpoint answered.
func call(t *testing.T, c healthpb.HealthClient, options ...grpc.CallOption) (endpoint string, err error) {
	t.Helper()
	return callIn(t.Context(), c, options...)
}

// callIn makes one call with values of a context.
func callIn(ctx context.Context, c healthpb.HealthClient, options ...grpc.CallOption) (endpoint string, err error) {
	var header metadata.MD
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = c.Check(ctx, &healthpb.HealthCheckRequest{}, append(options, grpc.Header(&header))...)
	if values := header.Get("endpoint"); len(values) > 0 {
		endpoint = values[0]
	}
	return endpoint, err
}

// spread counts who answers n calls.
func spread(t *testing.T, c healthpb.HealthClient, n int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range n {
		endpoint, err := call(t, c)
		if err != nil {
			t.Fatalf("call: %v", err)
		}
		counts[endpoint]++
	}
	return counts
}

// expectSpread checks that calls were spread as wanted, give or take what
// chance does.
func expectSpread(t *testing.T, got, want map[string]int) {
	t.Helper()
	for endpoint, n := range want {
		if d := got[endpoint] - n; d*d > 36*n { // six deviations
			t.Errorf("%s got %d calls, want about %d", endpoint, got[endpoint], n)
		}
	}
	for endpoint, n := range got {
		if _, ok := want[endpoint]; !ok {
			t.Errorf("%s got %d calls, want none", endpoint, n)
		}
	}
}

// settle lets everything that is under way happen, connections included.
func settle() {
	synctest.Wait()
	time.Sleep(2 * defaults.Coalesce) // virtual
	synctest.Wait()
}

// bufListener listens at an address of the fleet.
func bufListener(f *fleet, address string) net.Listener {
	listener := bufconn.Listen(1 << 20)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listeners[address] = listener
	return listener
}

func healthServer() *grpc.Server {
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server
}
