package limit

import (
	"encoding/binary"
	"errors"

	"google.golang.org/grpc/encoding"
	encproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// The methods of the servers that only fan out.
const (
	fanService    = "limit.Fan"
	publishMethod = "/" + fanService + "/Publish"
	watchMethod   = "/" + fanService + "/Watch"
)

// A message to watchers is its revision, the stamp of the write, and as many
// bytes more as were asked for.
const fanHeader = 8 + 4

var errShort = errors.New("the message is too short")

func fanMessage(revision uint64, stamp uint32, size int) encoded {
	m := make(encoded, max(size, fanHeader))
	binary.LittleEndian.PutUint64(m, revision)
	binary.LittleEndian.PutUint32(m[8:], stamp)
	return m
}

// A request to publish names the topic, the stamp and the size of the message.
func publishRequest(topic int, stamp uint32, size, padded int) []byte {
	r := make([]byte, max(padded, 12))
	binary.LittleEndian.PutUint32(r, uint32(topic)) //nolint:gosec // a small number
	binary.LittleEndian.PutUint32(r[4:], stamp)
	binary.LittleEndian.PutUint32(r[8:], uint32(size)) //nolint:gosec // a small number
	return r
}

func readPublish(r []byte) (topic, stamp uint32, size int, err error) {
	if len(r) < 12 {
		return 0, 0, 0, errShort
	}
	return binary.LittleEndian.Uint32(r), binary.LittleEndian.Uint32(r[4:]), int(binary.LittleEndian.Uint32(r[8:])), nil
}

// encoded is a message that many streams send at once; nobody changes it.
type encoded []byte

// fanCodec is the protobuf codec, which passes on what is encoded already.
type fanCodec struct{ proto encoding.CodecV2 }

func newFanCodec() fanCodec { return fanCodec{encoding.GetCodecV2(encproto.Name)} }

// Marshal implements encoding.CodecV2.
func (c fanCodec) Marshal(v any) (mem.BufferSlice, error) {
	if e, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(e)}, nil
	}
	return c.proto.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c fanCodec) Unmarshal(data mem.BufferSlice, v any) error { return c.proto.Unmarshal(data, v) }

// Name implements encoding.CodecV2.
func (c fanCodec) Name() string { return encproto.Name }
