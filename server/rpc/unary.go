package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// request is a unary request as it came, not decoded. It is for the calls that
// come so often that decoding them into messages would cost more than
// answering them. Its bytes are good until free.
type request struct {
	buffer mem.Buffer
}

// take is for the codec.
func (r *request) take(data mem.BufferSlice) {
	r.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
}

func (r *request) bytes() []byte { return r.buffer.ReadOnlyData() }

func (r *request) free() { r.buffer.Free() }

// decode decodes it after all, with the error that the transport would give.
func (r *request) decode(m proto.Message) error {
	if err := proto.Unmarshal(r.bytes(), m); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

// message is a message that is encoded already, in one or two parts that nobody
// may change any more.
type message struct {
	parts [2]mem.Buffer
	n     int
}

func encodedIn(whole []byte) *message {
	return &message{parts: [2]mem.Buffer{mem.SliceBuffer(whole)}, n: 1}
}

func (m *message) add(part mem.Buffer) *message {
	m.parts[m.n] = part
	m.n++
	return m
}

// unaryCodec is the protobuf codec, which leaves requests to those who want them
// as they came, and passes on what is encoded already.
type unaryCodec struct{ encoding.CodecV2 }

// Marshal encodes a message.
func (c unaryCodec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*message); ok {
		return m.parts[:m.n], nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal decodes a message.
func (c unaryCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if r, ok := v.(*request); ok {
		r.take(data)
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// unary is a unary call that reads its request by itself.
type unary func(context.Context, *request) (*message, error)

// handlerOf makes of it what grpc calls.
func handlerOf(method string, call unary) grpc.MethodHandler {
	info := &grpc.UnaryServerInfo{FullMethod: method}
	handle := func(ctx context.Context, req any) (any, error) {
		r := req.(*request)
		defer r.free()
		m, err := call(ctx, r)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	return func(_ any, ctx context.Context, dec func(any) error, admit grpc.UnaryServerInterceptor) (any, error) {
		r := &request{}
		if err := dec(r); err != nil {
			return nil, err
		}
		return admit(ctx, r, info, handle)
	}
}

// withHandlers is a service's description with other handlers for some methods.
func withHandlers(d grpc.ServiceDesc, handlers map[string]grpc.MethodHandler) *grpc.ServiceDesc {
	methods := make([]grpc.MethodDesc, 0, len(d.Methods))
	for _, m := range d.Methods {
		if h, ok := handlers[m.MethodName]; ok {
			m.Handler = h
		}
		methods = append(methods, m)
	}
	d.Methods = methods
	return &d
}
