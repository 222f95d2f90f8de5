package muster

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	endpointbackoff "github.com/muster-registry/muster/client-go/internal/backoff"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// maxMessage is the largest message taken from a registry: a Lookup may answer
// 10,000 instances.
const maxMessage = 64 << 20

// server is one registry server and the one connection to it. A connection
// that fails is thrown away and made anew by the next attempt, so that how
// often it is tried is decided here and not in the transport.
type server struct {
	address string
	all     *servers

	// busy is held while connecting; it is a channel so that waiting ends with
	// the waiter's context.
	busy chan struct{}
	// conn is written while holding busy, and read anywhere.
	conn atomic.Pointer[grpc.ClientConn]
	// introduced is set once the connection told which server it reached, and
	// unset by each new dial.
	introduced atomic.Bool
	closed     atomic.Bool
	// silent is set when a stream on the connection got no answer in time, and
	// unset by each new connection.
	silent atomic.Bool
	// limits are what the server said of itself; nil before.
	limits atomic.Pointer[musterv1.Limits]
	// failed is the last attempt, if it failed. Guarded by busy.
	failed failedAttempt
	// cause is why the last dial or handshake failed.
	cause atomic.Pointer[string]
}

// failedAttempt is an attempt to connect and when it failed.
type failedAttempt struct {
	err *Error
	at  time.Time
}

func newServer(address string, all *servers) *server {
	return &server{address: address, all: all, busy: make(chan struct{}, 1)}
}

// connect makes sure that there is a connection whose server answered and is
// ours. It takes at most defaults.ConnectTimeout. Callers share an attempt that failed a
// moment ago, so that an outage is not dialled once for each registration,
// unless they want it afresh.
func (s *server) connect(ctx context.Context, afresh bool) *Error {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return contextError(ctx, "connect", s.address, nil)
	}
	if s.closed.Load() {
		return closedError("client")
	}
	if !afresh && s.failed.err != nil && time.Since(s.failed.at) < endpointbackoff.Floor {
		return s.failed.err
	}
	err := s.reconnect(ctx)
	s.failed = failedAttempt{}
	if ctx.Err() == nil {
		s.failed = failedAttempt{err, time.Now()}
	}
	return err
}

// reconnect makes an attempt, unless the connection is good. The caller holds
// busy.
func (s *server) reconnect(ctx context.Context) *Error {
	conn := s.conn.Load()
	if conn != nil && s.introduced.Load() && !s.silent.Load() && conn.GetState() == connectivity.Ready {
		return nil
	}
	if conn == nil || s.silent.Load() || conn.GetState() == connectivity.TransientFailure {
		s.drop()
		fresh, err := s.dial()
		if err != nil {
			return err
		}
		conn = fresh
	}
	began := time.Now()
	if err := s.introduce(ctx, conn); err != nil {
		s.all.config.telemetry.observe(ServerFailed{s.address, s.causeOf(err), time.Since(began)})
		s.drop()
		return err
	}
	s.all.config.telemetry.observe(ServerConnected{s.address, time.Since(began)})
	return nil
}

func (s *server) dial() (*grpc.ClientConn, *Error) {
	creds := insecure.NewCredentials()
	if s.all.config.tls != nil {
		creds = newServerTLS(s, s.all.config.tls)
	}
	headers := callHeaders{s.all.config.Name, s.all.tokens}
	conn, err := grpc.NewClient("passthrough:///"+s.address,
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(s.dialTransport),
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: defaults.ConnectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: defaults.TransportKeepaliveTime, Timeout: defaults.TransportKeepaliveTimeout, PermitWithoutStream: true,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithUnaryInterceptor(headers.unary),
		grpc.WithStreamInterceptor(headers.stream),
	)
	if err != nil {
		return nil, newError(ReasonInvalidArgument, codes.InvalidArgument, "connect", s.address, err.Error())
	}
	s.silent.Store(false)
	s.conn.Store(conn)
	return conn, nil
}

// dialTransport opens one transport and keeps the cause if it cannot.
func (s *server) dialTransport(ctx context.Context, address string) (net.Conn, error) {
	s.introduced.Store(false)
	transport, err := s.all.config.Dial(ctx, address)
	if err != nil {
		s.failedWith(dialCause(err))
	}
	return transport, err
}

// introduce asks the server who it is: that proves that it answers at all, and
// that it speaks our protocol and belongs to our cluster.
func (s *server) introduce(ctx context.Context, conn *grpc.ClientConn) *Error {
	s.cause.Store(nil)
	attempt, cancel := context.WithTimeout(ctx, defaults.ConnectTimeout)
	defer cancel()
	info, err := musterv1.NewServerServiceClient(conn).GetServerInfo(attempt, &musterv1.GetServerInfoRequest{})
	if err != nil {
		if ctx.Err() == nil && attempt.Err() != nil {
			s.failedWith(textNoAnswer(defaults.ConnectTimeout))
		}
		return fromStatus(ctx, err, "connect", s.address, s.address)
	}
	if info.GetOldestProtocol() > 1 || info.GetNewestProtocol() < 1 {
		return protocolError(s.address, info.GetOldestProtocol(), info.GetNewestProtocol())
	}
	if err := s.all.checkCluster(s.address, info.GetClusterId()); err != nil {
		return err
	}
	s.limits.Store(info.GetLimits())
	// A call can come through a moment before the connection says that it is
	// ready; the next caller would take it for one that has to be made.
	for conn.GetState() == connectivity.Connecting && conn.WaitForStateChange(attempt, connectivity.Connecting) {
	}
	s.introduced.Store(true)
	return nil
}

// leasesPerMessage is how many leases one keepalive to the server may renew.
func (s *server) leasesPerMessage() int {
	if limit := s.limits.Load().GetLeasesPerKeepalive(); limit > 0 {
		return int(min(limit, defaults.LeasesPerKeepalive))
	}
	return defaults.LeasesPerKeepalive
}

// swallows notes that the connection took messages and brought no answer. It is
// not used again, even if it looks well to the transport.
func (s *server) swallows() { s.silent.Store(true) }

func (s *server) failedWith(cause string) { s.cause.Store(&cause) }

// causeOf is the shortest true reason why a connection failed.
func (s *server) causeOf(err *Error) string {
	if cause := s.cause.Load(); cause != nil {
		return *cause
	}
	if err.Reason == ReasonDeadline {
		return "no answer yet"
	}
	return err.text()
}

// drop closes the connection. The caller holds busy.
func (s *server) drop() {
	if conn := s.conn.Swap(nil); conn != nil {
		_ = conn.Close() // it is broken, or nobody uses it any more
	}
}

// close ends the connection for good. All calls on it must have ended.
func (s *server) close() {
	s.closed.Store(true)
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	s.drop()
}

func (s *server) registrations() musterv1.RegistrationServiceClient {
	return musterv1.NewRegistrationServiceClient(s.channel())
}

func (s *server) discovery() musterv1.DiscoveryServiceClient {
	return musterv1.NewDiscoveryServiceClient(s.channel())
}

// channel is the connection, or one that refuses if it was dropped meanwhile.
func (s *server) channel() grpc.ClientConnInterface {
	if conn := s.conn.Load(); conn != nil {
		return conn
	}
	return droppedConnection{s.address}
}

func noServerError(failures []serverFailure, attempts int, since time.Duration) *Error {
	e := newError(ReasonNoServer, codes.Unavailable, "connect", "", textNoServer(failures, attempts, since, true))
	e.gaveUpMessage = textNoServer(failures, attempts, since, false)
	return e
}

func wrongClusterError(address, got, want string) *Error {
	e := newError(ReasonWrongCluster, codes.FailedPrecondition, "connect", address, textWrongCluster(address, got, want))
	e.Server = address
	return e
}

func protocolError(address string, oldest, newest uint32) *Error {
	return newError(ReasonProtocolNotServed, codes.FailedPrecondition, "connect", address,
		textProtocolNotServed(address, oldest, newest))
}

// dialCause is the innermost error of a dial, such as "connection refused".
func dialCause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return textNoAnswer(defaults.ConnectTimeout)
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
