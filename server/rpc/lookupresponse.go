package rpc

import (
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/hub"
	"github.com/muster-registry/muster/server/selector"
	"github.com/muster-registry/muster/server/view"
)

// Fields of LookupResponse. A test compares what is made of them with what the
// generated code makes.
const (
	fieldHeader    = 1
	fieldInstances = 2
	fieldServices  = 3
	fieldResult    = 4
	// maxHeader is room for a header and a result: two fixed64, four varints of
	// at most ten bytes, their tags, and the tags and lengths around.
	maxHeader = 80
)

// appendHeader appends the header of a LookupResponse.
func appendHeader(dst []byte, viewID, revision uint64, set *identity, uptime time.Duration) []byte {
	dst = protowire.AppendTag(dst, fieldHeader, protowire.BytesType)
	dst = append(dst, 0) // the length, below 128
	begin := len(dst)
	dst = appendFixed64(dst, 1, viewID)
	dst = appendUint(dst, 2, set.epoch)
	dst = appendUint(dst, 3, revision)
	dst = appendFixed64(dst, 4, set.digest)
	dst = appendUint(dst, 5, set.count)
	dst = appendUint(dst, 7, uint64(uptime.Milliseconds()))
	dst[begin-1] = byte(len(dst) - begin)
	return dst
}

// appendFixed64 appends a field, but not if it is 0, as encoders do.
func appendFixed64(dst []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendFixed64(protowire.AppendTag(dst, number, protowire.Fixed64Type), v)
}

// appendUint appends a field, but not if it is 0, as encoders do.
func appendUint(dst []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), v)
}

// encodeBody encodes what a selector matches in a view, or only counts it if
// it is more than the limit.
func encodeBody(v *view.View, sel *selector.Selector, limit uint32) *body {
	var instances []*view.Instance
	var states []*view.State
	size := 2 // the result
	hub.Each(v, sel, func(s *view.Service, in []*view.Instance) {
		if s.State != nil {
			states = append(states, s.State)
			size += protowire.SizeTag(fieldServices) + protowire.SizeBytes(len(s.State.Wire))
		}
		for _, i := range in {
			size += protowire.SizeTag(fieldInstances) + protowire.SizeBytes(i.WireSize())
		}
		if instances == nil {
			instances = in
		} else {
			instances = append(instances, in...)
		}
	})
	b := &body{instances: len(instances)}
	if uint64(len(instances)) > uint64(limit) {
		return b
	}
	out := make([]byte, 0, size)
	for _, in := range instances {
		out = protowire.AppendTag(out, fieldInstances, protowire.BytesType)
		out = in.AppendWire(protowire.AppendVarint(out, uint64(in.WireSize())))
	}
	for _, s := range states {
		out = protowire.AppendTag(out, fieldServices, protowire.BytesType)
		out = protowire.AppendBytes(out, s.Wire)
	}
	out = appendUint(out, fieldResult, uint64(musterv1.LookupResult_LOOKUP_RESULT_FULL))
	b.encoded, b.bytes = mem.SliceBuffer(out), cap(out)
	return b
}
