package muster

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Metadata that every call carries; docs/protocol.md names them.
const (
	headerProtocol   = "muster-protocol"
	headerClient     = "muster-client"
	headerClientName = "muster-client-name"
	headerFeatures   = "muster-features"
	// headerAuthorization is sent over TLS alone.
	headerAuthorization = "authorization"
	// features: "ack" says that this client acknowledges drains.
	features = "ack"
)

// callHeaders puts on every call what the registry should know of its caller.
type callHeaders struct {
	name   string
	tokens *tokens
}

// prepare adds the headers, and returns the token among them. Asking a server
// who it is needs none.
func (h callHeaders) prepare(ctx context.Context, method string) (context.Context, string, *Error) {
	pairs := []string{headerProtocol, protocolVersion, headerClient, "go/" + Version, headerFeatures, features}
	if h.name != "" {
		pairs = append(pairs, headerClientName, h.name)
	}
	for _, more := range headersOf(ctx) {
		pairs = append(pairs, more.Name, more.Value)
	}
	token := ""
	if method != musterv1.ServerService_GetServerInfo_FullMethodName {
		var err *Error
		if token, err = h.tokens.get(ctx); err != nil {
			return ctx, "", err
		}
	}
	if token != "" {
		pairs = append(pairs, headerAuthorization, "Bearer "+token)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...), token, nil
}

// unary makes a call; one whose token was refused is repeated once with a new
// one.
func (h callHeaders) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	for repeated := false; ; repeated = true {
		prepared, token, failed := h.prepare(ctx, method)
		if failed != nil {
			return failed
		}
		err := invoke(prepared, method, req, reply, cc, opts...)
		if err == io.EOF { //nolint:errorlint // grpc-go does not wrap it
			// It forgets the status of a call that was refused twice, the second time
			// before its request was written.
			err = status.Error(codes.Unavailable, "the call was refused")
		}
		if status.Code(err) != codes.Unauthenticated || !h.tokens.reject(token) || repeated {
			return err
		}
	}
}

// stream opens a stream. One that ends because its token was refused drops the
// token, so that the next stream has a new one.
func (h callHeaders) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, token, failed := h.prepare(ctx, method)
	if failed != nil {
		return nil, failed
	}
	stream, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, err
	}
	return tokenStream{stream, h.tokens, token}, nil
}

// tokenStream is a stream that was opened with a token.
type tokenStream struct {
	grpc.ClientStream
	tokens *tokens
	token  string
}

// RecvMsg implements grpc.ClientStream.
func (s tokenStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if status.Code(err) == codes.Unauthenticated {
		s.tokens.reject(s.token)
	}
	return err
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
