package mustergrpc

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/grpc"
)

type (
	hashKey     struct{}
	instanceKey struct{}
	rpcKey      struct{}
)

// WithHashKey makes RPCs of equal keys go to the same instance, as long as it
// takes calls; if it does not, to the same other one. When instances come or
// go, few keys move.
func WithHashKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, hashKey{}, xxhash.Sum64String(key))
}

// WithInstance makes an RPC go to one instance, by its id, whatever its health,
// or fail with a text that says why it cannot.
func WithInstance(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, instanceKey{}, id)
}

// rpc is what a picker wants to know of an RPC. It is in the RPC's context,
// and so outlives attempts.
type rpc struct {
	// hash of the RPC's key, if hashed.
	hash   uint64
	hashed bool
	// instance is the only one to call; empty for any.
	instance string
	// waits: the RPC waits for readiness, which pickers cannot see otherwise:
	// for it errors must not be final.
	waits bool
	// refused is where the last attempt went that was not processed.
	refused atomic.Pointer[slot]
	// unanswered: the last attempt ended without an answer, and grpc knows no
	// error.
	unanswered atomic.Bool
}

// anyRPC is for contexts that did not come through the interceptors.
var anyRPC rpc

func rpcOf(ctx context.Context) *rpc {
	if c, ok := ctx.Value(rpcKey{}).(*rpc); ok {
		return c
	}
	return &anyRPC
}

func newRPC(ctx context.Context, options []grpc.CallOption) *rpc {
	c := &rpc{}
	c.hash, c.hashed = ctx.Value(hashKey{}).(uint64)
	c.instance, _ = ctx.Value(instanceKey{}).(string)
	for _, o := range options {
		if f, ok := o.(grpc.FailFastCallOption); ok {
			c.waits = !f.FailFast
		}
	}
	return c
}

func unaryRPC(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	c := newRPC(ctx, options)
	return c.status(invoke(context.WithValue(ctx, rpcKey{}, c), method, req, reply, cc, options...))
}

func streamRPC(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	c := newRPC(ctx, options)
	stream, err := open(context.WithValue(ctx, rpcKey{}, c), desc, cc, method, options...)
	if err != nil {
		return nil, err
	}
	return rpcStream{stream, c}, nil
}

// rpcStream is a stream that was opened by streamRPC.
type rpcStream struct {
	grpc.ClientStream
	rpc *rpc
}

// RecvMsg implements grpc.ClientStream.
func (s rpcStream) RecvMsg(m any) error { return s.rpc.status(s.ClientStream.RecvMsg(m)) }

// status is the true end of an RPC. grpc-go forgets that of one which was refused
// twice, the second time before its request was written, and says io.EOF, which
// of a stream means that it ended well.
func (c *rpc) status(err error) error {
	if err == io.EOF && c.unanswered.Load() { //nolint:errorlint // grpc-go does not wrap it
		return errUnprocessed
	}
	return err
}
