// Package servertest runs a whole server in a test, on a store in memory and a
// network in memory, so that it works inside a testing/synctest bubble, where
// an hour passes in a moment. It can be stopped, killed and started again on
// the same history.
package servertest

import (
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/storetest"
)

const bufferBytes = 1 << 20

// Server is a server that a test runs.
type Server struct {
	Config server.Config
	Disk   *storetest.Disk
	// Wrap, if set, wraps the store at each start.
	Wrap func(store.Store) store.Store

	t      testing.TB
	mu     sync.Mutex
	store  *storetest.Memory
	server *server.Server
	lis    *bufconn.Listener
	cancel context.CancelFunc
	served chan error
}

// New starts a server with an empty store. It is stopped when the test ends.
func New(t testing.TB, change ...func(*server.Config)) *Server {
	t.Helper()
	s := &Server{Config: server.DefaultConfig(), Disk: storetest.NewDisk(), t: t}
	for _, f := range change {
		f(&s.Config)
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server on what the disk holds.
func (s *Server) Start() {
	s.t.Helper()
	st, err := s.Disk.Open()
	if err != nil {
		s.t.Fatalf("open disk: %v", err)
	}
	var wrapped store.Store = st
	if s.Wrap != nil {
		wrapped = s.Wrap(st)
	}
	srv, err := server.OpenOn(s.Config, wrapped)
	if err != nil {
		s.t.Fatalf("open server: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lis, served := bufconn.Listen(bufferBytes), make(chan error, 1)
	go func() { served <- srv.Serve(ctx, lis) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store, s.server, s.lis, s.cancel, s.served = st, srv, lis, cancel, served
}

// Stop stops the server as SIGTERM does.
func (s *Server) Stop() {
	s.mu.Lock()
	srv, cancel, served := s.server, s.cancel, s.served
	s.server, s.lis = nil, nil
	s.mu.Unlock()
	if srv == nil {
		return
	}
	cancel()
	if err := <-served; err != nil {
		s.t.Errorf("serve: %v", err)
	}
	if err := srv.Close(); err != nil {
		s.t.Errorf("close server: %v", err)
	}
}

// Kill ends the server without any grace. What was acknowledged is on disk.
func (s *Server) Kill() {
	s.mu.Lock()
	srv, lis, cancel, served := s.server, s.lis, s.cancel, s.served
	s.server, s.lis = nil, nil
	s.mu.Unlock()
	if srv == nil {
		return
	}
	_ = lis.Close()
	_ = srv.Close()
	cancel()
	if err := <-served; err != nil {
		s.t.Logf("cut off, as meant: %v", err)
	}
}

// Server is the running server.
func (s *Server) Server() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server
}

// Store is the running server's store.
func (s *Server) Store() *storetest.Memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// DialContext connects to the server that is running at that moment.
func (s *Server) DialContext(ctx context.Context, _ string) (net.Conn, error) {
	s.mu.Lock()
	lis := s.lis
	s.mu.Unlock()
	if lis == nil {
		return nil, &net.OpError{Op: "dial", Net: "mem", Err: errDown}
	}
	return lis.DialContext(ctx)
}

type downError struct{}

func (downError) Error() string { return "connection refused" }

var errDown = downError{}

// Clients are the contract's stubs on one connection.
type Clients struct {
	musterv1.RegistrationServiceClient
	musterv1.DiscoveryServiceClient
	musterv1.ServerServiceClient
	musterv1.AdminServiceClient
	Conn *grpc.ClientConn
}

// Dial makes stubs on a connection of their own, which ends with the test.
func (s *Server) Dial(opts ...grpc.DialOption) Clients {
	s.t.Helper()
	opts = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(s.DialContext),
		grpc.WithIdleTimeout(0),
	}, opts...)
	cc, err := grpc.NewClient("passthrough:///muster", opts...)
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	s.t.Cleanup(func() { _ = cc.Close() })
	return Clients{
		musterv1.NewRegistrationServiceClient(cc), musterv1.NewDiscoveryServiceClient(cc),
		musterv1.NewServerServiceClient(cc), musterv1.NewAdminServiceClient(cc), cc,
	}
}
