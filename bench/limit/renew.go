package limit

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/muster-registry/muster/bench/load"
	"github.com/muster-registry/muster/bench/payload"
	"github.com/muster-registry/muster/bench/raw"
)

// Hold does nothing: there is no table of leases here.
func (s *Server) Hold(context.Context, int) error { return nil }

// Renew is a stream of messages of the sizes of Muster's keepalives.
func (s *Server) Renew(ctx context.Context, stream, _, each int) (load.Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	grpcStream, err := s.Conns.Stream(ctx, stream, methodStream)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open a stream of echoes: %w", err)
	}
	return &echoStream{
		stream: grpcStream, cancel: cancel, response: payload.KeepAliveResponseBytes,
		request: request(payload.KeepAliveRequestBytes(each), payload.KeepAliveResponseBytes),
	}, nil
}

// echoStream sends the same message again and again.
type echoStream struct {
	stream   grpc.ClientStream
	cancel   context.CancelFunc
	request  raw.Request
	response int
	received uint64
}

// Send sends a copy of the message.
func (e *echoStream) Send() error { return e.stream.SendMsg(raw.Request(bytes.Clone(e.request))) }

// Recv takes an answer and looks at its length.
func (e *echoStream) Recv() error {
	var reply raw.Reply
	if e.received%raw.CheckEvery == 0 {
		reply.Into = new(wrapperspb.BytesValue)
	}
	e.received++
	if err := e.stream.RecvMsg(&reply); err != nil {
		return err
	}
	if reply.Size != e.response {
		return fmt.Errorf("the answer has %d bytes, expected %d", reply.Size, e.response)
	}
	return nil
}

// Close ends the stream.
func (e *echoStream) Close() { e.cancel() }
