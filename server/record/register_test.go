package record

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// TestRegisteredIsWhatTheEncoderMakes, byte for byte.
func TestRegisteredIsWhatTheEncoderMakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(-1, 1<<33).Draw(t, name), rapid.SampledFrom([]int64{0, 1, 999_999_999}).Draw(t, name+" ns"))
		}
		in := &musterv1.Instance{
			Namespace: "shop", InstanceId: rapid.StringN(0, 20, 300).Draw(t, "id"), SchemaVersion: rapid.Uint32().Draw(t, "schema"),
		}
		body, err := proto.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r := Registered{
			Body: body, LeaseID: rapid.StringN(1, 40, 200).Draw(t, "lease"), Tag: rapid.Uint64().Draw(t, "tag") | 1,
			Health: musterv1.Health(rapid.IntRange(1, 3).Draw(t, "health")), CreateTime: at("created"), ModifyTime: at("modified"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "slots") {
			r.HealthSlots = append(r.HealthSlots, &musterv1.HealthSlot{Reason: rapid.StringN(0, 20, 100).Draw(t, "reason"), SinceTime: timestamppb.New(r.ModifyTime)})
		}
		in.Health, in.HealthSlots, in.Tag = r.Health, r.HealthSlots, r.Tag
		in.CreateTime, in.ModifyTime = timestamppb.New(r.CreateTime), timestamppb.New(r.ModifyTime)
		want := Instance{Public: EncodePublic(in), LeaseID: r.LeaseID}.Encode()
		if got := r.Encode(); !bytes.Equal(got, want) {
			t.Fatalf("%x, want\n%x", got, want)
		}
	})
}

func TestNewLeaseIsWhatTheEncoderMakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
		text := rapid.StringN(0, 20, 200)
		l := &Lease{
			TtlMs: number.Draw(t, "ttl"), Epoch: number.Draw(t, "epoch"), RequestId: text.Draw(t, "request_id"),
			Instances: rapid.SliceOfN(text, 0, 5).Draw(t, "instances"),
		}
		got := EncodeNewLease(l.GetTtlMs(), l.GetInstances(), l.GetRequestId(), l.GetEpoch())
		if want := EncodeLease(l); !bytes.Equal(got, want) {
			t.Fatalf("%x, want\n%x", got, want)
		}
	})
}
