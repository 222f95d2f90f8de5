// Package server is a Muster server: it opens the store, puts the registry on
// it, and serves the contract over gRPC, with health checking and reflection.
// It starts its parts in order (store, registry, transport) and stops them in
// the reverse one.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/muster-registry/muster/server/internal/gctune"
	"github.com/muster-registry/muster/server/registry"
	"github.com/muster-registry/muster/server/rpc"
	"github.com/muster-registry/muster/server/store"
	"github.com/muster-registry/muster/server/store/embedded"
	"github.com/muster-registry/muster/server/validate"
)

const (
	// DefaultListen is where a server listens if it is not told otherwise.
	DefaultListen = "127.0.0.1:7070"
	// DefaultShutdownTimeout bounds a graceful stop.
	DefaultShutdownTimeout = 10 * time.Second
	// clientPing is how often clients may send HTTP/2 pings.
	clientPing = 5 * time.Second
	// serverPing is after which silence the server pings a connection, and
	// pingTimeout how long it waits: a peer that vanished is noticed in time.
	serverPing  = 30 * time.Second
	pingTimeout = 10 * time.Second
	// streamWorkers is how many goroutines are kept for calls. A new goroutine
	// has a small stack, and growing it takes longer than most calls; when all
	// of them are busy, as with open streams, calls get new ones.
	streamWorkers = 256
)

// Config is what a server can be told. DefaultConfig fills it.
type Config struct {
	// DataDir is the directory of the embedded store. It is created if it does
	// not exist; one server at a time can have it open.
	DataDir string
	// Listen is the address of the gRPC listener, host:port.
	Listen string
	// ShutdownTimeout bounds a graceful stop; what is still open then is cut.
	ShutdownTimeout time.Duration
	// History is how many changes are kept for resuming watchers, over all
	// services; 0 means hub.DefaultHistory.
	History int
	// Limits are what requests may contain.
	Limits validate.Limits
	// Log receives what the server has to say; nil discards it.
	Log *slog.Logger
	// Version is the release, as GetServerInfo gives it.
	Version string
	// TuneGC lets the server set how the process collects garbage, unless GOGC
	// does: for processes that are nothing but a server.
	TuneGC bool
}

// DefaultConfig is the configuration of a server that is told nothing but
// where its data lies.
func DefaultConfig() Config {
	return Config{
		Listen: DefaultListen, ShutdownTimeout: DefaultShutdownTimeout,
		Limits: validate.DefaultLimits(), Version: "dev",
	}
}

// Server is one running server.
type Server struct {
	cfg      Config
	log      *slog.Logger
	store    store.Store
	registry *registry.Registry
	service  *rpc.Service
	health   *health.Server
	grpc     *grpc.Server
	gc       *gctune.Tuner // nil if it is not this server's business
	closing  sync.Once
	closed   error
}

// Open opens the embedded store in the data directory and loads it. Nothing
// listens yet. Close must follow.
func Open(cfg Config) (*Server, error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var gc *gctune.Tuner
	if cfg.TuneGC {
		gc = gctune.Load()
	}
	s, err := open(cfg, log)
	if err != nil {
		gc.Stop()
		return nil, err
	}
	s.gc = gc
	gc.Start()
	return s, nil
}

func open(cfg Config, log *slog.Logger) (*Server, error) {
	st, err := embedded.Open(embedded.Options{Dir: cfg.DataDir, Logger: log})
	if err != nil {
		return nil, err
	}
	return OpenOn(cfg, st)
}

// OpenOn is Open on a store that is open already. The server owns it from then
// on, also if there is an error.
func OpenOn(cfg Config, st store.Store) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, log: cfg.Log, store: st}
	s.registry = registry.New(registry.Options{
		Store: st, Limits: cfg.Limits.Proto(), Log: cfg.Log, History: cfg.History,
	})
	if err := s.registry.Start(context.Background()); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	s.service = rpc.New(rpc.Options{
		Registry: s.registry, Limits: cfg.Limits, Log: cfg.Log, Version: cfg.Version, ServerID: rand.Text(),
	})
	s.grpc = s.newGRPC()
	return s, nil
}

func (s *Server) newGRPC() *grpc.Server {
	recovered := recovery.WithRecoveryHandler(s.service.Recovered)
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(rpc.NewCodec()),
		grpc.MaxRecvMsgSize(s.cfg.Limits.RequestBytes),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.Creds(rpc.Connections{TransportCredentials: insecure.NewCredentials()}),
		grpc.ChainUnaryInterceptor(recovery.UnaryServerInterceptor(recovered), s.service.AdmitUnary),
		grpc.ChainStreamInterceptor(recovery.StreamServerInterceptor(recovered), s.service.AdmitStream),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: clientPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPing, Timeout: pingTimeout}),
	)
	s.service.RegisterOn(g)
	s.health = health.NewServer()
	healthv1.RegisterHealthServer(g, s.health)
	for name := range g.GetServiceInfo() {
		s.health.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	reflection.Register(g)
	return g
}

// Registry is the server's registry, for what runs beside gRPC and for tests.
func (s *Server) Registry() *registry.Registry { return s.registry }

// Serve serves on a listener until the context ends, and then stops
// gracefully: new calls are refused, streams end with an error that sends
// clients elsewhere, and what is under way is finished within
// Config.ShutdownTimeout. It returns nil after that, and after Close. If the
// store fails, or holds what this server cannot apply, it stops and returns
// why.
func (s *Server) Serve(ctx context.Context, lis net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(lis) }()
	var err error
	select {
	case err = <-served:
		s.stop()
		if err == nil {
			return nil // Close ended it
		}
		return fmt.Errorf("serving on %s: %w", lis.Addr(), err)
	case <-s.store.Failed():
		err = fmt.Errorf("the store failed: %w", s.store.Err())
	case <-s.registry.Failed():
		err = s.registry.Err()
	case <-ctx.Done():
	}
	s.stop()
	if stopErr := <-served; stopErr != nil {
		s.log.Warn("the listener did not close cleanly", "error", stopErr)
	}
	return err
}

// stop ends the transport gracefully, within the timeout.
func (s *Server) stop() {
	s.health.Shutdown()
	// From here on nobody can renew, so nobody may expire.
	s.registry.Stop()
	s.service.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	timer := time.NewTimer(s.cfg.ShutdownTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.log.Warn("calls were still under way after the shutdown timeout; they are cut", "timeout", s.cfg.ShutdownTimeout)
		s.grpc.Stop()
		<-done
	}
}

// Close stops what Serve did not, and closes the store: everything
// acknowledged is on disk when it returns. It is idempotent.
func (s *Server) Close() error {
	s.closing.Do(func() {
		// From here on nobody can renew, so nobody may expire.
		s.registry.Stop()
		s.service.Stop()
		s.grpc.Stop()
		s.closed = s.store.Close()
		s.gc.Stop()
	})
	return s.closed
}
