package payload

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

var keys = []uint64{0, 1, 7, 999, 1000, 123_456, 5_000_000_123}

// A request that was made of the template is the one that encoding gives, but
// for the address, which stays the same.
func TestRegisterTemplate(t *testing.T) {
	for _, each := range []int{1, 3, 100} {
		template := RegisterTemplate(each, time.Minute)
		for _, key := range keys {
			if each > 1 && key > 1_000_000 {
				continue // these instances would have more digits
			}
			var got musterv1.RegisterRequest
			message := template.Make(key)
			if err := proto.Unmarshal(message, &got); err != nil {
				t.Fatal(err)
			}
			if len(message) != template.Size() {
				t.Errorf("key %d has %d bytes, another one %d", key, len(message), template.Size())
			}
			var instances []*musterv1.Instance
			for i := range uint64(each) {
				k := key*uint64(each) + i
				instances = append(instances, Instance(Service(k), k))
			}
			want := RegisterRequest(key, time.Minute, instances...)
			if diff := cmp.Diff(want, &got, protocmp.Transform(), protocmp.IgnoreFields(&musterv1.Endpoint{}, "address")); diff != "" {
				t.Fatalf("%d instances from key %d (-want +got):\n%s", each, key, diff)
			}
		}
	}
}

func TestInstanceTemplate(t *testing.T) {
	template := InstanceTemplate()
	for _, key := range keys {
		var got musterv1.Instance
		if err := proto.Unmarshal(template.Make(key), &got); err != nil {
			t.Fatal(err)
		}
		want := Instance(Service(key), key)
		if diff := cmp.Diff(want, &got, protocmp.Transform(), protocmp.IgnoreFields(&musterv1.Endpoint{}, "address")); diff != "" {
			t.Fatalf("key %d (-want +got):\n%s", key, diff)
		}
	}
}

// The instances of the published figures have about 250 bytes.
func TestSizes(t *testing.T) {
	if n := InstanceTemplate().Size(); n < 220 || n > 280 {
		t.Errorf("an instance has %d bytes", n)
	}
	one := &musterv1.KeepAliveRequest{Sequence: sequence, LeaseIds: []string{string(make([]byte, LeaseIDBytes))}}
	if got, want := KeepAliveRequestBytes(1), proto.Size(one); got != want {
		t.Errorf("a keepalive has %d bytes, not %d", want, got)
	}
	answer := &musterv1.KeepAliveResponse{Sequence: sequence}
	if got := proto.Size(answer); got != KeepAliveResponseBytes {
		t.Errorf("the answer to a keepalive has %d bytes, not %d", got, KeepAliveResponseBytes)
	}
}

func TestAppendedKeepAlive(t *testing.T) {
	b := AppendLeaseID(AppendLeaseID(AppendSequence(nil, 300), "one"), "two")
	var got musterv1.KeepAliveRequest
	if err := proto.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := &musterv1.KeepAliveRequest{Sequence: 300, LeaseIds: []string{"one", "two"}}
	if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
