package grpcfault

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// frame is a message as it lies on the wire.
type frame struct{ bytes []byte }

// rawCodec hands messages through without reading them.
type rawCodec struct{}

// Marshal implements encoding.CodecV2.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, is := v.(*frame)
	if !is {
		return nil, fmt.Errorf("a raw frame is wanted, not %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(f.bytes)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, is := v.(*frame)
	if !is {
		return fmt.Errorf("a raw frame is wanted, not %T", v)
	}
	f.bytes = data.Materialize()
	return nil
}

// Name implements encoding.CodecV2. It is protobuf's own, so that the
// content type stays.
func (rawCodec) Name() string { return "proto" }
