package record

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/internal/storepb"
)

// FuzzDecodeInstance: what is read without decoding is what protobuf reads, and
// what it refuses is refused.
func FuzzDecodeInstance(f *testing.F) {
	public := EncodePublic(&musterv1.Instance{
		Namespace: "shop", Service: "pay", InstanceId: "pay-1", Tag: 7, Health: musterv1.Health_HEALTH_UNHEALTHY,
		Lifecycle: musterv1.Lifecycle_LIFECYCLE_DRAINING, Metadata: map[string]string{"a": "b"},
	})
	f.Add(Instance{Public: public, LeaseID: "l", DrainDeadlineMS: 5}.Encode())
	f.Add([]byte{0x0a, 0x05, 1})
	f.Add([]byte{0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, b []byte) {
		want := &storepb.InstanceRecord{}
		if proto.Unmarshal(b, want) != nil || len(want.ProtoReflect().GetUnknown()) > 0 {
			_, _ = DecodeInstance(b) // no panic is all that is asked
			return
		}
		got, err := DecodeInstance(b)
		if err != nil {
			t.Fatalf("%x is refused: %v", b, err)
		}
		if !bytes.Equal(got.Public, want.GetInstance()) || got.LeaseID != want.GetLeaseId() || got.DrainDeadlineMS != want.GetDrainDeadlineMs() {
			t.Errorf("%x is read as %+v, want %v", b, got, want)
		}
		again, err := DecodeInstance(got.Encode())
		if diff := cmp.Diff(got, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%+v does not survive being written: %v %s", got, err, diff)
		}
	})
}

// FuzzReadFacts: the same for the public form, and for what AppendWire adds.
func FuzzReadFacts(f *testing.F) {
	f.Add(EncodePublic(&musterv1.Instance{Tag: 7, Health: musterv1.Health_HEALTH_DEGRADED, Lifecycle: musterv1.Lifecycle_LIFECYCLE_SERVING}), uint64(1), uint64(2), uint64(3))
	f.Add([]byte{0x0a, 0xff}, uint64(0), uint64(0), uint64(1<<63))
	f.Fuzz(func(t *testing.T, b []byte, incarnation, created, modified uint64) {
		want := &musterv1.Instance{}
		if proto.Unmarshal(b, want) != nil || len(want.ProtoReflect().GetUnknown()) > 0 {
			_, _ = ReadFacts(b)
			return
		}
		got, err := ReadFacts(b)
		if err != nil || got != (Facts{Lifecycle: want.GetLifecycle(), Health: want.GetHealth(), Tag: want.GetTag()}) {
			t.Errorf("%x is read as %+v, %v; want %v", b, got, err, want)
		}
		want.Incarnation, want.CreateRevision, want.ModifyRevision = incarnation, created, modified
		wire := &musterv1.Instance{}
		if err := proto.Unmarshal(AppendWire(nil, b, incarnation, created, modified), wire); len(AppendWire(nil, b, incarnation, created, modified)) != WireSize(b, incarnation, created, modified) || err != nil || !proto.Equal(wire, want) {
			t.Errorf("on the wire %v, %v; want %v", wire, err, want)
		}
	})
}

// FuzzDecodeOthers: records that are read by protobuf survive being written.
func FuzzDecodeOthers(f *testing.F) {
	f.Add(Note{Reason: musterv1.RemovalReason_REMOVAL_REASON_EXPIRED, Keys: []string{"/i/a/b/c"}, Actor: "x", Traceparent: "y"}.Encode())
	f.Add(EncodeLease(&Lease{TtlMs: 1000, Instances: []string{"/i/a/b/c"}, RequestId: "r", Epoch: 7}))
	f.Add(EncodeService(&musterv1.ServiceState{Namespace: "a", Service: "b", Tag: 7}))
	f.Add(EncodeEpoch(7))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := DecodeNote(b); err == nil {
			again, err := DecodeNote(n.Encode())
			if diff := cmp.Diff(n, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("note: %v %s", err, diff)
			}
		}
		l, err := DecodeLease(b)
		if CheckLease(b) == nil && err != nil {
			t.Errorf("a lease passes the check and cannot be decoded: %v", err)
		}
		if err == nil {
			if ttl := LeaseTTLMs(b); ttl != l.GetTtlMs() {
				t.Errorf("TTL %d, want %d", ttl, l.GetTtlMs())
			}
			again, err := DecodeLease(EncodeLease(l))
			if err != nil || !proto.Equal(l, again) {
				t.Errorf("lease: %v, %v, want %v", err, again, l)
			}
		}
		if s, err := DecodeService(b, 5, 6); err == nil {
			again, err := DecodeService(EncodeService(s), 5, 6)
			if err != nil || !proto.Equal(s, again) {
				t.Errorf("service: %v, %v, want %v", err, again, s)
			}
		}
		if e, err := DecodeEpoch(b); err == nil {
			if again, err := DecodeEpoch(EncodeEpoch(e)); err != nil || again != e {
				t.Errorf("epoch: %v, %d, want %d", err, again, e)
			}
		}
	})
}

// FuzzKeys: a name that was taken from a key gives that key.
func FuzzKeys(f *testing.F) {
	for _, k := range []string{"/i/shop/pay/pay-1", "/v/shop/pay", "/l/x", "/e", "/i/a/b", "/v/a", "", "/i///"} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if n, ok := ParseInstance(key); ok && (n.Key() != key || KindOf(key) != KindInstance) {
			t.Errorf("%q is %v, whose key is %q", key, n, n.Key())
		}
		if n, ok := ParseService(key); ok && (n.Key() != key || KindOf(key) != KindService) {
			t.Errorf("%q is %v, whose key is %q", key, n, n.Key())
		}
		if KindOf(key) == KindLease && LeaseKey(LeaseID(key)) != key {
			t.Errorf("%q is lease %q", key, LeaseID(key))
		}
	})
}
