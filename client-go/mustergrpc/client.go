package mustergrpc

import (
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/muster-registry/muster/client-go"
	"github.com/muster-registry/muster/client-go/internal/defaults"
	"github.com/muster-registry/muster/client-go/internal/rules"
)

// shortest is the shortest wait between attempts to connect.
const shortest = rules.BackoffFloorMs * time.Millisecond

// serviceConfig selects the balancer of this package.
const serviceConfig = `{"loadBalancingConfig":[{"` + balancerName + `":{}}]}`

// NewClient makes a channel to a service, given as "muster:///namespace/service",
// optionally with "?endpoint=NAME" for the name of the endpoint to dial, of those
// that speak gRPC. Default: the one named "grpc", else the first by name.
//
// It begins to watch and to connect at once and does not wait; calls made
// before the first view wait for it up to 5 s.
//
// Endpoints are dialled as they say themselves: in plaintext, or by TLS with
// the system's roots. [EndpointCredentials], as grpc.WithTransportCredentials,
// gives roots and certificates of your own. Other options of grpc apply, but
// for idleness, proxies and client-side health checks, which are off: the
// registry knows better.
//
// Close the channel before the client. The error is INVALID_ARGUMENT or CLOSED;
// the former also for a service config that selects another balancer.
func NewClient(c *muster.Client, target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	parsed, bad := parseTarget(target)
	if bad != nil {
		return nil, bad
	}
	// A first subscription tells whether the names are valid and the client open.
	service := muster.ServiceName{Namespace: parsed.Namespace, Service: parsed.Service}
	probe, err := c.Subscribe(muster.Service(service.Namespace, service.Service))
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	builder := &resolverBuilder{client: c, service: service, endpoint: parsed.Endpoint}
	conn, err := grpc.NewClient(target, slices.Concat(defaultOptions(), options, enforcedOptions(builder))...)
	if err != nil {
		return nil, dialError(target, err.Error())
	}
	conn.Connect()
	if builder.balancer.Load() == nil {
		_ = conn.Close() // it was never used
		return nil, dialError(target, textOtherBalancer())
	}
	builder.balancer.Load().open(conn)
	return conn, nil
}

// defaultOptions may be overridden by the caller's.
func defaultOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(EndpointCredentials(nil)),
		grpc.WithDefaultServiceConfig(serviceConfig),
	}
}

// enforcedOptions are what the balancer relies on.
func enforcedOptions(builder *resolverBuilder) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithResolvers(builder),
		grpc.WithIdleTimeout(0),
		grpc.WithNoProxy(),
		grpc.WithDisableHealthCheck(),
		// The balancer itself waits between attempts; the transport's own wait
		// is as short as it can be.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: shortest, MaxDelay: shortest, Multiplier: 1,
			},
			MinConnectTimeout: defaults.EndpointConnectTimeout,
		}),
		grpc.WithChainUnaryInterceptor(unaryRPC),
		grpc.WithChainStreamInterceptor(streamRPC),
	}
}
