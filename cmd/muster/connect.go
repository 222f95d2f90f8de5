package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// connectTimeout bounds one attempt to reach one server.
	connectTimeout = 3 * time.Second
	// maxMessage is the largest answer that is taken; a Lookup may hold 10,000
	// instances.
	maxMessage = 64 << 20
	// clientName is how people recognise this program among a drain's watchers.
	clientName = "muster-cli"
)

// registry is a connection to one server of the registry.
type registry struct {
	musterv1.DiscoveryServiceClient
	musterv1.RegistrationServiceClient
	// server is the address that answered, info what it said of itself.
	server string
	info   *musterv1.GetServerInfoResponse
	conn   *grpc.ClientConn
}

// Close closes the connection.
func (r *registry) Close() { _ = r.conn.Close() }

// withRegistry runs f with a connection, and with a context that --timeout
// bounds from the beginning on.
func (a *app) withRegistry(ctx context.Context, f func(ctx context.Context, r *registry) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	r, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return f(ctx, r)
}

// connect finds the first server of the list that answers.
func (a *app) connect(ctx context.Context) (*registry, error) {
	var tried []string
	for _, address := range a.servers {
		r, cause := a.try(ctx, address)
		if r != nil {
			return r, nil
		}
		if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
			return nil, &failure{code: exitInterrupted, text: "interrupted while connecting", err: ctx.Err()}
		}
		tried = append(tried, fmt.Sprintf("%s (%s)", address, cause))
	}
	return nil, fail(exitUnavailable, "no registry server reachable: %w. Is \"muster server\" running? "+
		"--server and %s say where [NO_SERVER]", unreachableError(strings.Join(tried, ", ")), envServers)
}

// unreachableError names the servers that were tried, each with its cause.
type unreachableError string

// Error implements error.
func (u unreachableError) Error() string { return string(u) }

// try connects to one server and asks it who it is. Otherwise it says what
// stood in the way.
func (a *app) try(ctx context.Context, address string) (*registry, string) {
	var d lastError
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(d.remember(a.dial)),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithUnaryInterceptor(introduceUnary),
		grpc.WithStreamInterceptor(introduceStream),
	)
	if err != nil {
		return nil, err.Error()
	}
	r := &registry{
		DiscoveryServiceClient:    musterv1.NewDiscoveryServiceClient(conn),
		RegistrationServiceClient: musterv1.NewRegistrationServiceClient(conn),
		server:                    address, conn: conn,
	}
	callCtx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	began := time.Now()
	r.info, err = musterv1.NewServerServiceClient(conn).GetServerInfo(callCtx, &musterv1.GetServerInfoRequest{})
	if err == nil && (r.info.GetOldestProtocol() > protocolVersion || r.info.GetNewestProtocol() < protocolVersion) {
		err = status.Errorf(codes.FailedPrecondition, "it serves protocol %d to %d, this program speaks %d; use another release",
			r.info.GetOldestProtocol(), r.info.GetNewestProtocol(), protocolVersion)
	}
	if err != nil {
		cause := d.cause(err, time.Since(began))
		r.Close()
		return nil, cause
	}
	return r, ""
}

// lastError remembers why a connection could not be made: what gRPC says of it
// is long and does not always name the cause.
type lastError struct {
	mu  sync.Mutex
	err error
}

func (d *lastError) remember(dial func(context.Context, string) (net.Conn, error)) func(context.Context, string) (net.Conn, error) {
	if dial == nil {
		dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}
	}
	return func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := dial(ctx, address)
		d.mu.Lock()
		d.err = err
		d.mu.Unlock()
		return conn, err
	}
}

func (d *lastError) cause(err error, after time.Duration) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var system *os.SyscallError
	var call *net.OpError
	switch st := status.Convert(err); {
	case st.Code() == codes.DeadlineExceeded:
		return "no answer within " + seconds(after)
	case errors.As(d.err, &system):
		return system.Err.Error()
	case errors.As(d.err, &call) && call.Err != nil:
		return call.Err.Error()
	case d.err != nil:
		return d.err.Error()
	case st.Code() == codes.Unavailable && strings.Contains(st.Message(), "preface"):
		return "it does not speak gRPC in plaintext"
	default:
		return st.Message()
	}
}

// introduce says who calls, as the protocol wants it.
func introduce(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		"muster-protocol", strconv.Itoa(protocolVersion), "muster-client", "cli/"+version, "muster-client-name", clientName,
		"muster-features", "ack")
}

func introduceUnary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
	return invoke(introduce(ctx), method, req, reply, conn, o...)
}

func introduceStream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(introduce(ctx), desc, conn, method, o...)
}
