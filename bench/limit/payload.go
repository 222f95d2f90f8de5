// Package limit is a bare grpc-go server without logic, and the driver that
// loads it: what gRPC itself can carry on this machine. Its messages are as
// long as Muster's in the same section, and go through the usual protobuf codec.
package limit

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/muster-registry/muster/bench/raw"
)

// Every message is a google.protobuf.BytesValue. The first bytes of a request
// tell how long the payload of its answer is to be.
const sizeBytes = 4

// minRequest is the shortest request that can ask for an answer.
const minRequest = 2 + sizeBytes

// request is an encoded message of `size` bytes that asks for an answer of `answer` bytes.
func request(size, answer int) raw.Request {
	n := payloadOf(max(size, minRequest))
	b := protowire.AppendTag(make([]byte, 0, size), 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n))
	head := len(b)
	b = append(b, make([]byte, n)...)
	binary.LittleEndian.PutUint32(b[head:], uint32(payloadOf(answer)))
	return b
}

// payloadOf is how many bytes a BytesValue holds that is encoded in `size` bytes.
func payloadOf(size int) int {
	n := max(size-2, 0)
	for n > 0 && 1+protowire.SizeVarint(uint64(n))+n > size {
		n--
	}
	return n
}

// wanted is the length of the payload that a request asks for.
func wanted(payload []byte) (int, bool) {
	if len(payload) < sizeBytes {
		return 0, false
	}
	return int(binary.LittleEndian.Uint32(payload)), true
}
