// Package raw lets the load generators speak gRPC without encoding and
// decoding messages, so that what is compared is the servers. All drivers use
// it alike: requests are bytes made in advance, and of the answers only every
// CheckEvery-th is decoded, to be sure that it is what it should be.
package raw

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// CheckEvery is which part of the answers is decoded and checked.
const CheckEvery = 256

// Request is an encoded message. It must not change until it was sent, which
// for streams is not before its answer arrived.
type Request []byte

// Reply takes an encoded message.
type Reply struct {
	// Into, if not nil, is where the message is decoded.
	Into proto.Message
	// Keep has the bytes copied into Data.
	Keep bool
	// Size is set to the length of the message in bytes.
	Size int
	// Data is the message itself, if Keep is set.
	Data []byte
}

type codec struct{}

var _ encoding.CodecV2 = codec{}

// CallOption has a call or stream use the codec.
func CallOption() grpc.CallOption { return grpc.ForceCodecV2(codec{}) }

// Marshal takes a Request, without copying it.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	request, ok := v.(Request)
	if !ok {
		return nil, fmt.Errorf("the raw codec sends raw.Request, not %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(request)}, nil
}

// Unmarshal fills a *Reply.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	reply, ok := v.(*Reply)
	if !ok {
		return fmt.Errorf("the raw codec receives into *raw.Reply, not %T", v)
	}
	reply.Size = data.Len()
	if !reply.Keep && reply.Into == nil {
		return nil
	}
	whole := data.Materialize()
	if reply.Keep {
		reply.Data = whole
	}
	if reply.Into == nil {
		return nil
	}
	return proto.Unmarshal(whole, reply.Into)
}

// Name makes the content type that of the usual codec.
func (codec) Name() string { return "proto" }
