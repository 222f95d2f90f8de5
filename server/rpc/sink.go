package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/muster-registry/muster/server/hub"
)

// sink hands the hub's messages to a stream. grpc-go's SendMsg blocks once
// 64 KiB of a stream are waiting to be written; the hub must know before how
// much waits. So each message goes out as a buffer from a "pool" of the stream,
// to which grpc-go returns it when it has written it.
type sink struct {
	out   grpc.ServerStream
	frame frame
}

// openSink opens a stream of the hub whose messages go out on a gRPC stream.
func openSink(h *hub.Hub, c hub.Client, out grpc.ServerStream) *hub.Stream {
	k := &sink{out: out}
	st := h.Open(c, k)
	k.frame.pool.stream = st
	return st
}

// Send implements hub.Sink.
func (k *sink) Send(message *[]byte) error {
	k.frame.message = message
	err := k.out.SendMsg(&k.frame)
	k.frame.message = nil
	if err != nil {
		return context.Canceled // the client went; grpc-go says no more of it
	}
	if mem.IsBelowBufferPoolingThreshold(cap(*message)) {
		k.frame.pool.stream.Taken(len(*message)) // nobody else will say so
	}
	return nil
}

// frame is a message on its way out.
type frame struct {
	message *[]byte
	pool    pool
}

func (f *frame) buffers() mem.BufferSlice {
	return mem.BufferSlice{mem.NewBuffer(f.message, &f.pool)}
}

// pool tells the hub of each buffer that comes back.
type pool struct{ stream *hub.Stream }

// Get implements mem.BufferPool; nobody takes buffers from this pool.
func (*pool) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}

// Put implements mem.BufferPool. The bytes are shared: nothing is done to them.
func (p *pool) Put(message *[]byte) { p.stream.Taken(len(*message)) }
