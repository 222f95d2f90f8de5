package fakeregistry

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Server is one server of a registry: an address that answers or not.
type Server struct {
	// Address by which it is dialled.
	Address string

	registry *Registry
	mu       sync.Mutex
	listener *bufconn.Listener
	grpc     *grpc.Server
	served   chan struct{}
	stop     chan struct{}
	// mute accepts connections and never answers.
	mute  bool
	conns []net.Conn
	// Dials counts attempts to connect.
	dials int
	began atomic.Int64 // unix nanoseconds
}

// Server adds a server that listens.
func (r *Registry) Server(address string) *Server {
	s := &Server{Address: address, registry: r}
	r.mu.Lock()
	r.servers = append(r.servers, s)
	r.mu.Unlock()
	s.Start()
	return s
}

// Start listens again.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return
	}
	s.listener = bufconn.Listen(1 << 20)
	s.grpc = grpc.NewServer(s.options()...)
	s.served, s.stop = make(chan struct{}), make(chan struct{})
	s.began.Store(time.Now().UnixNano())
	musterv1.RegisterRegistrationServiceServer(s.grpc, registrations{server: s})
	musterv1.RegisterDiscoveryServiceServer(s.grpc, discovery{server: s})
	musterv1.RegisterServerServiceServer(s.grpc, info{server: s})
	go func(g *grpc.Server, l net.Listener, served chan struct{}) {
		defer close(served)
		_ = g.Serve(l) // ends by Stop
	}(s.grpc, s.listener, s.served)
}

func (s *Server) options() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, call *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := s.registry.authorize(ctx, call.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, call *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := s.registry.authorize(stream.Context(), call.FullMethod); err != nil {
				return err
			}
			return handle(srv, stream)
		}),
	}
	if s.registry.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.registry.TLS)))
	}
	return options
}

func (r *Registry) authorize(ctx context.Context, method string) error {
	if r.OnAuth == nil || method == musterv1.ServerService_GetServerInfo_FullMethodName {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return r.OnAuth(strings.Join(md.Get("authorization"), ","))
}

// Stop kills the server: connections break, new ones are refused.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return
	}
	close(s.stop)
	s.grpc.Stop()
	<-s.served
	s.listener = nil
}

// Mute makes new connections be accepted but never answered.
func (s *Server) Mute(mute bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute = mute
}

// Dials is how often somebody tried to connect.
func (s *Server) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// Dial connects to a server by its address.
func (r *Registry) Dial(ctx context.Context, address string) (net.Conn, error) {
	r.mu.Lock()
	var found *Server
	for _, s := range r.servers {
		if s.Address == address {
			found = s
		}
	}
	r.mu.Unlock()
	if found == nil {
		return nil, fmt.Errorf("dial %s: no such server", address)
	}
	found.mu.Lock()
	found.dials++
	listener, mute := found.listener, found.mute
	found.mu.Unlock()
	switch {
	case listener == nil:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case mute:
		ours, theirs := net.Pipe()
		found.mu.Lock()
		found.conns = append(found.conns, theirs)
		found.mu.Unlock()
		return ours, nil
	default:
		return listener.DialContext(ctx)
	}
}

// Close stops all servers and timers.
func (r *Registry) Close() {
	r.mu.Lock()
	servers := r.servers
	for _, l := range r.leases {
		l.expiry.Stop()
	}
	r.mu.Unlock()
	for _, s := range servers {
		s.Stop()
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
	}
}

func (s *Server) stopping() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop
}

type info struct {
	musterv1.UnimplementedServerServiceServer
	server *Server
}

// GetServerInfo implements the contract.
func (i info) GetServerInfo(_ context.Context, req *musterv1.GetServerInfoRequest) (*musterv1.GetServerInfoResponse, error) {
	r := i.server.registry
	r.record(i.server.Address, req)
	if r.OnInfo != nil {
		if resp, err := r.OnInfo(i.server.Address); resp != nil || err != nil {
			return resp, err
		}
	}
	epoch, revision := r.Position()
	return &musterv1.GetServerInfoResponse{
		ServerVersion: "0.0.0-fake", ClusterId: r.ClusterID, OldestProtocol: 1, NewestProtocol: 1,
		Position: &musterv1.Position{Epoch: epoch, Revision: revision},
	}, nil
}
