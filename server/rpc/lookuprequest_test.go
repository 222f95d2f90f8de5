package rpc

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func drawLookup(t *rapid.T) *musterv1.LookupRequest {
	m := &musterv1.LookupRequest{Consistency: musterv1.Consistency(rapid.IntRange(-1, 3).Draw(t, "consistency"))}
	number := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
	if rapid.Bool().Draw(t, "selector") {
		m.Selector = &musterv1.Selector{Names: &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{Namespace: rapid.StringN(0, 5, 9).Draw(t, "namespace")}}}
	}
	if rapid.Bool().Draw(t, "min_position") {
		m.MinPosition = &musterv1.Position{Epoch: number.Draw(t, "epoch"), Revision: number.Draw(t, "revision")}
	}
	if rapid.Bool().Draw(t, "known") {
		m.Known = &musterv1.KnownView{
			Epoch: number.Draw(t, "epoch"), Revision: number.Draw(t, "revision"), ViewId: number.Draw(t, "view_id"),
			Digest: number.Draw(t, "digest"), Count: number.Draw(t, "count"),
		}
	}
	return m
}

// TestReadingLookupsWithoutDecoding: what is taken without decoding is what the
// decoder finds, whatever comes, and nothing is taken that the validator would
// have to refuse for another reason than its selector.
func TestReadingLookupsWithoutDecoding(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		b, err := proto.Marshal(drawLookup(t))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "more") { // messages that come twice are merged
			more, err := proto.Marshal(drawLookup(t))
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, more...)
		}
		if len(b) > 0 && rapid.Bool().Draw(t, "damaged") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= rapid.Byte().Draw(t, "by")
		}
		var l lookupRequest
		if !l.read(b) {
			return
		}
		taken++
		m := &musterv1.LookupRequest{}
		if err := (proto.UnmarshalOptions{Merge: false}).Unmarshal(b, m); err != nil {
			if proto.Unmarshal(l.selector, &musterv1.Selector{}) == nil {
				t.Fatalf("taken, and yet not decodable: %v", err)
			}
			return
		}
		want := lookupRequestOf(m)
		sel := &musterv1.Selector{}
		if err := proto.Unmarshal(l.selector, sel); err != nil || !proto.Equal(sel, m.GetSelector()) {
			t.Fatalf("selector %v (%v), want %v", sel, err, m.GetSelector())
		}
		l.selector = nil
		if l.minEpoch != want.minEpoch || l.minRev != want.minRev || l.hasKnown != want.hasKnown ||
			(identity{l.knownEpoch, l.knownDigest, l.knownN}) != (identity{want.knownEpoch, want.knownDigest, want.knownN}) || l.knownID != want.knownID {
			t.Fatalf("read %+v, want %+v", l, want)
		}
		if m.GetMinPosition() != nil && m.GetMinPosition().GetEpoch() == 0 || m.GetConsistency() > musterv1.Consistency_CONSISTENCY_VIEW || m.GetConsistency() < 0 {
			t.Fatalf("taken without a look at %v", m)
		}
	})
	if taken == 0 {
		t.Fatal("no request at all was read without decoding")
	}
}

func TestHeadersAreWhatTheEncoderMakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
		id, revision := number.Draw(t, "view_id"), number.Draw(t, "revision")
		set := identity{number.Draw(t, "epoch"), number.Draw(t, "digest"), number.Draw(t, "count")}
		uptime := time.Duration(rapid.Int64Min(0).Draw(t, "uptime"))
		got := appendHeader(make([]byte, 0, maxHeader), id, revision, &set, uptime)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&musterv1.LookupResponse{Header: &musterv1.ViewHeader{
			ViewId: id, Epoch: set.epoch, Revision: revision, Digest: set.digest, Count: set.count,
			ServerUptimeMs: uint64(uptime.Milliseconds()),
		}})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x (%v)", got, want, err)
		}
		if len(got)+2 > maxHeader {
			t.Fatalf("a header of %d bytes does not leave room for the result", len(got))
		}
	})
}
