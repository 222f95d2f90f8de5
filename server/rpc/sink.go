package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/hub"
)

// sink hands the hub's messages to a stream. grpc-go's SendMsg blocks once
// 64 KiB of a stream are waiting to be written; the hub must know before how
// much waits. So a message with a probe goes out as a buffer from a "pool" of
// its own, to which grpc-go returns it when it has written it.
type sink struct {
	out   grpc.ServerStream
	frame frame
}

// openSink opens a stream of the hub whose messages go out on a gRPC stream.
func openSink(h *hub.Hub, c hub.Client, out grpc.ServerStream) *hub.Stream {
	return h.Open(c, &sink{out: out})
}

// bare is the stream without the generated code's wrapper: one object less to
// be looked up in memory for each message.
func bare(s grpc.ServerStream) grpc.ServerStream {
	if w, ok := s.(*grpc.GenericServerStream[musterv1.WatchRequest, musterv1.WatchResponse]); ok {
		return w.ServerStream
	}
	return s
}

// Send implements hub.Sink.
func (k *sink) Send(message *[]byte, probe *hub.Probe) error {
	k.frame = frame{message: message, probe: probe}
	err := k.out.SendMsg(&k.frame)
	k.frame = frame{}
	if err != nil {
		return context.Canceled // the client went; grpc-go says no more of it
	}
	if probe != nil && mem.IsBelowBufferPoolingThreshold(cap(*message)) {
		probe.Taken() // nobody else will say so
	}
	return nil
}

// frame is a message on its way out.
type frame struct {
	message *[]byte
	probe   *hub.Probe
}

func (f *frame) buffers() mem.BufferSlice {
	if f.probe == nil {
		return mem.BufferSlice{mem.SliceBuffer(*f.message)}
	}
	return mem.BufferSlice{mem.NewBuffer(f.message, (*pool)(f.probe))}
}

// pool tells the hub that the buffer came back.
type pool hub.Probe

// Get implements mem.BufferPool; nobody takes buffers from this pool.
func (*pool) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}

// Put implements mem.BufferPool. The bytes are shared: nothing is done to them.
func (p *pool) Put(*[]byte) { (*hub.Probe)(p).Taken() }
