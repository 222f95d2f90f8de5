package rpc

import (
	"google.golang.org/grpc/encoding"
	encproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// encoded is a message that is encoded already. The same bytes may be on their
// way on many streams at once; nobody changes them.
type encoded []byte

// Codec is the protobuf codec, which passes on what is encoded already.
type Codec struct {
	proto encoding.CodecV2
}

// NewCodec makes the codec.
func NewCodec() Codec { return Codec{proto: unaryCodec{encoding.GetCodecV2(encproto.Name)}} }

// Marshal encodes a message.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *frame:
		return m.buffers(), nil
	case *confirmation:
		return m.buffers[:], nil
	case encoded:
		return mem.BufferSlice{mem.SliceBuffer(m)}, nil
	}
	return c.proto.Marshal(v)
}

// Unmarshal decodes a message.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error { return c.proto.Unmarshal(data, v) }

// Name is what goes into content types.
func (c Codec) Name() string { return encproto.Name }
