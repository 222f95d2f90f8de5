package muster

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Metadata that every call carries; docs/protocol.md names them.
const (
	headerProtocol   = "muster-protocol"
	headerClient     = "muster-client"
	headerClientName = "muster-client-name"
	headerFeatures   = "muster-features"
	// features: "ack" says that this client acknowledges drains.
	features = "ack"
)

func withMetadata(ctx context.Context, name string) context.Context {
	pairs := []string{headerProtocol, protocolVersion, headerClient, "go/" + Version, headerFeatures, features}
	if name != "" {
		pairs = append(pairs, headerClientName, name)
	}
	for _, h := range headersOf(ctx) {
		pairs = append(pairs, h.Name, h.Value)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func unaryMetadata(name string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoke(withMetadata(ctx, name), method, req, reply, cc, opts...)
	}
}

func streamMetadata(name string) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		return open(withMetadata(ctx, name), desc, cc, method, opts...)
	}
}

// droppedConnection stands in for a connection that was closed between being
// acquired and being used.
type droppedConnection struct{ address string }

// Invoke refuses.
func (d droppedConnection) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return d.err()
}

// NewStream refuses.
func (d droppedConnection) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, d.err()
}

func (d droppedConnection) err() error {
	return status.Error(codes.Unavailable, "the connection to "+d.address+" was lost")
}

// serverTLS is TLS that keeps why a handshake failed.
type serverTLS struct {
	credentials.TransportCredentials
	server *server
}

func newServerTLS(s *server, config *tls.Config) credentials.TransportCredentials {
	config = config.Clone()
	if config.ServerName == "" {
		if name, _, err := net.SplitHostPort(s.address); err == nil {
			config.ServerName = name
		}
	}
	return &serverTLS{credentials.NewTLS(config), s}
}

// ClientHandshake implements credentials.TransportCredentials.
func (t *serverTLS) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		var plaintext tls.RecordHeaderError
		if errors.As(err, &plaintext) {
			t.server.failedWith(textPlaintext(t.server.address))
		} else {
			t.server.failedWith(err.Error())
		}
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (t *serverTLS) Clone() credentials.TransportCredentials {
	return &serverTLS{t.TransportCredentials.Clone(), t.server}
}
