package fan

import (
	"fmt"

	"google.golang.org/grpc/mem"
)

// Raw is a message that is sent as it is.
type Raw []byte

// Sink takes a message where it lies; it must not keep it.
type Sink func(message []byte) error

// Codec passes messages on undecoded: what is sent is a Raw, what is received
// goes to a Sink. It calls itself proto, so that every server takes it.
type Codec struct{}

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(Raw)
	if !ok {
		return nil, fmt.Errorf("send a %T: this codec sends fan.Raw only", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(m)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	sink, ok := v.(Sink)
	if !ok {
		return fmt.Errorf("receive into a %T: this codec receives into fan.Sink only", v)
	}
	if len(data) == 1 {
		return sink(data[0].ReadOnlyData())
	}
	return sink(data.Materialize())
}

// Name implements encoding.CodecV2.
func (Codec) Name() string { return "proto" }
