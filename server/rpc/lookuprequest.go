package rpc

import (
	"google.golang.org/protobuf/encoding/protowire"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Fields of the messages that Lookup reads and writes by hand. A test compares
// them with the contract.
const (
	fieldSelector    = 1 // of LookupRequest
	fieldMinPosition = 2
	fieldConsistency = 3
	fieldKnown       = 4
)

// lookupRequest is a LookupRequest whose selector is not decoded.
type lookupRequest struct {
	selector            []byte // aliases the request
	minEpoch, minRev    uint64 // both 0 without min_position
	hasKnown            bool
	knownEpoch, knownID uint64
	knownDigest, knownN uint64
}

// read reads a request of the kind that nearly all are. It tells whether it
// is one: what it does not take may be valid nonetheless, and is for the
// decoder and the validator.
func (l *lookupRequest) read(b []byte) bool {
	seen := protowire.Number(0)
	return fields(b, func(f wireField) bool {
		if f.number <= seen { // twice, or out of order: messages would be merged
			return false
		}
		seen = f.number
		switch {
		case f.number == fieldSelector && f.kind == protowire.BytesType:
			l.selector = f.bytes
			return true
		case f.number == fieldMinPosition && f.kind == protowire.BytesType:
			return l.readPosition(f.bytes) && l.minEpoch != 0
		case f.number == fieldConsistency && f.kind == protowire.VarintType:
			return f.value <= uint64(musterv1.Consistency_CONSISTENCY_VIEW)
		case f.number == fieldKnown && f.kind == protowire.BytesType:
			l.hasKnown = true
			return l.readKnown(f.bytes)
		}
		return false
	}) && len(l.selector) > 0
}

func (l *lookupRequest) readPosition(b []byte) bool {
	return fields(b, func(f wireField) bool {
		switch {
		case f.number == 1 && f.kind == protowire.VarintType:
			l.minEpoch = f.value
		case f.number == 2 && f.kind == protowire.VarintType:
			l.minRev = f.value
		default:
			return false
		}
		return true
	})
}

// readKnown leaves out the revision, which does not decide.
func (l *lookupRequest) readKnown(b []byte) bool {
	return fields(b, func(f wireField) bool {
		switch {
		case f.number == 1 && f.kind == protowire.VarintType:
			l.knownEpoch = f.value
		case f.number == 2 && f.kind == protowire.VarintType:
		case f.number == 3 && f.kind == protowire.Fixed64Type:
			l.knownID = f.value
		case f.number == 4 && f.kind == protowire.Fixed64Type:
			l.knownDigest = f.value
		case f.number == 5 && f.kind == protowire.VarintType:
			l.knownN = f.value
		default:
			return false
		}
		return true
	})
}

// lookupRequestOf takes the same from a request that was decoded.
func lookupRequestOf(m *musterv1.LookupRequest) lookupRequest {
	k := m.GetKnown()
	return lookupRequest{
		minEpoch: m.GetMinPosition().GetEpoch(), minRev: m.GetMinPosition().GetRevision(),
		hasKnown: k != nil, knownEpoch: k.GetEpoch(), knownID: k.GetViewId(), knownDigest: k.GetDigest(), knownN: k.GetCount(),
	}
}

// wireField is one field of an encoded message, with its bytes or its number.
type wireField struct {
	number protowire.Number
	kind   protowire.Type
	bytes  []byte
	value  uint64
}

// fields calls f for each field of an encoded message until it returns false,
// and tells whether all of them were well-formed and f took them.
func fields(b []byte, f func(wireField) bool) bool {
	for len(b) > 0 {
		var w wireField
		var n int
		if w.number, w.kind, n = protowire.ConsumeTag(b); n < 0 {
			return false
		}
		b = b[n:]
		switch w.kind {
		case protowire.VarintType:
			w.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			w.value, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			w.bytes, n = protowire.ConsumeBytes(b)
		default:
			return false
		}
		if n < 0 {
			return false
		}
		b = b[n:]
		if !f(w) {
			return false
		}
	}
	return true
}
