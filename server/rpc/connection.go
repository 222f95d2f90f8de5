package rpc

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/fault"
	"github.com/muster-registry/muster/server/health"
	"github.com/muster-registry/muster/server/hub"
	"github.com/muster-registry/muster/server/registry"
	"github.com/muster-registry/muster/server/validate"
)

// Metadata keys that clients send (docs/protocol.md, "Metadata").
const (
	keyProtocol   = "muster-protocol"
	keyClientName = "muster-client-name"
	keyClient     = "muster-client"
	keyFeatures   = "muster-features"
	keyTrace      = "traceparent"
)

// connection is what is counted per connection. It travels as what the
// handshake found out of the peer, because that is the one thing that all calls
// of a connection share. A stats handler is told of connections too, but also of
// each message, which would cost every message more than answering it.
type connection struct {
	credentials.AuthInfo
	streams atomic.Int64
}

// Connections are transport credentials that give each connection its counter,
// and otherwise do what the credentials do that they wrap.
type Connections struct {
	credentials.TransportCredentials
}

// ServerHandshake is that of the wrapped credentials.
func (c Connections) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	return conn, &connection{AuthInfo: info}, nil
}

// Clone is for grpc.
func (c Connections) Clone() credentials.TransportCredentials {
	return Connections{c.TransportCredentials.Clone()}
}

// connectionOf is the connection that a call came on, or nil.
func connectionOf(ctx context.Context) *connection {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	c, _ := p.AuthInfo.(*connection)
	return c
}

// admitStream counts a watch or keepalive stream against its connection's
// limit. release takes it back.
func (s *Service) admitStream(ctx context.Context) (release func(), err error) {
	c := connectionOf(ctx)
	if c == nil {
		return func() {}, nil
	}
	limit := int64(s.limits.GetStreamsPerConnection())
	if n := c.streams.Add(1); n > limit {
		c.streams.Add(-1)
		return nil, fault.New(musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
			"this connection has %d watch and keepalive streams; this server allows %d: "+
				"put more subscriptions on one stream (UpdateWatch)", n-1, limit).
			With("limit", "streams_per_connection").With("maximum", strconv.FormatInt(limit, 10)).
			With("value", strconv.FormatInt(n, 10))
	}
	return func() { c.streams.Add(-1) }, nil
}

// first is the first value of a key that the client sent, or empty. It copies
// that value alone: all metadata together are a map and a slice for each key.
func first(ctx context.Context, key string) string {
	if v := metadata.ValueFromIncomingContext(ctx, key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// maxClientName bounds what a client calls itself, in bytes.
const maxClientName = 256

// printable makes text that a client sent fit to be shown and encoded.
func printable(s string) string {
	return health.Trim(strings.ToValidUTF8(s[:min(len(s), maxClientName)], "\uFFFD"))
}

// clientOf is who opened a stream.
func clientOf(ctx context.Context) hub.Client {
	c := hub.Client{Name: printable(first(ctx, keyClientName))}
	if c.Name == "" {
		c.Name = printable(first(ctx, keyClient))
	}
	if p, ok := peer.FromContext(ctx); ok {
		c.Address = p.Addr.String()
	}
	for _, f := range metadata.ValueFromIncomingContext(ctx, keyFeatures) {
		c.Acks = c.Acks || slices.ContainsFunc(strings.Split(f, ","), func(name string) bool {
			return strings.TrimSpace(name) == validate.FeatureAck
		})
	}
	return c
}

// traceparent is the form of W3C trace contexts, later versions included.
var traceparent = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[0-9a-z-]{1,128})?$`)

// callerOf is who makes a change. A trace context that is none is ignored, as
// W3C wants; it would travel on to everybody.
func callerOf(ctx context.Context) registry.Caller {
	trace := first(ctx, keyTrace)
	if trace != "" && !traceparent.MatchString(trace) {
		trace = ""
	}
	return registry.Caller{Traceparent: trace}
}
