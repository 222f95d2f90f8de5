package limit

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/raw"
)

// echo is a unary call that is answered with a number of bytes.
type echo struct {
	conns    *raw.Conns
	request  raw.Request
	response int
}

var _ drive.Op = (*echo)(nil).op

func (s *Server) unary(requestBytes, responseBytes int) *echo {
	return &echo{conns: s.Conns, request: request(requestBytes, responseBytes), response: responseBytes}
}

func (e *echo) call(ctx context.Context, conn int) error { return e.op(ctx, conn, 0) }

func (e *echo) op(ctx context.Context, conn int, key uint64) error {
	var reply raw.Reply
	checked := key%raw.CheckEvery == 0
	if checked {
		reply.Into = new(wrapperspb.BytesValue)
	}
	// Copied, as the other drivers make each request anew.
	if err := e.conns.Call(ctx, conn, methodUnary, bytes.Clone(e.request), &reply); err != nil {
		return err
	}
	if payloadOf(reply.Size) != payloadOf(e.response) {
		return fmt.Errorf("the answer has %d bytes, expected %d", reply.Size, e.response)
	}
	return nil
}
