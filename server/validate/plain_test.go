package validate_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/validate"
)

// oneOf draws a usual value most of the time, and otherwise an unusual one.
func oneOf[T any](t *rapid.T, name string, usual []T, unusual ...T) T {
	if len(unusual) > 0 && rapid.IntRange(0, 299).Draw(t, name+" is unusual") == 0 {
		return rapid.SampledFrom(unusual).Draw(t, name)
	}
	return rapid.SampledFrom(usual).Draw(t, name)
}

func drawEndpoint(t *rapid.T) *musterv1.Endpoint {
	return &musterv1.Endpoint{
		Name:       oneOf(t, "endpoint", []string{"grpc", "http", "metrics", "a", "b"}, "", "GRPC"),
		Address:    oneOf(t, "address", []string{"10.0.0.1:80", "host.example:8080", "[2001:db8::1]:443", "a.b.:1"}, "", "x", "0.0.0.0:1", "host:0", "[fe80::1%eth0]:1", "\xff:1"),
		Protocol:   oneOf(t, "protocol", []musterv1.Protocol{0, 1, 2, 4}, 5, -1),
		Security:   oneOf(t, "security", []musterv1.TransportSecurity{0, 1, 3}, 4, -1),
		ServerName: oneOf(t, "server_name", []string{"", "a.example", "10.0.0.1"}, "a b", "fe80::1%x"),
		Authority:  oneOf(t, "authority", []string{"", "a.example:80"}, "a/b", "é"),
	}
}

func drawInstance(t *rapid.T) *musterv1.Instance {
	in := &musterv1.Instance{
		Namespace:     oneOf(t, "namespace", []string{"shop", "a"}, "", "Shop", "é"),
		Service:       oneOf(t, "service", []string{"pay", "cart"}, "", "-"),
		InstanceId:    oneOf(t, "id", []string{"a", "b", "c", "d", "e", "f"}, "", "a@b"),
		Version:       oneOf(t, "version", []string{"", "1.2.3", "1.2.3-rc.1+b"}, "1", "v1.2.3", "\xff"),
		Lifecycle:     oneOf(t, "lifecycle", []musterv1.Lifecycle{0, 1, 2}, 3, 4, -1),
		SchemaVersion: oneOf(t, "schema", []uint32{0, 1, 1<<32 - 1}),
		Health:        oneOf(t, "health", []musterv1.Health{0}, 1, 3),
		Tag:           oneOf(t, "tag", []uint64{0}, 7),
	}
	for range rapid.IntRange(0, 3).Draw(t, "endpoints") {
		in.Endpoints = append(in.Endpoints, drawEndpoint(t))
	}
	if rapid.Bool().Draw(t, "locality") {
		in.Locality = &musterv1.Locality{Region: oneOf(t, "region", []string{"", "eu"}, string(make([]byte, 64))), Zone: oneOf(t, "zone", []string{"", "é"}, string(make([]byte, 64)))}
	}
	if rapid.Bool().Draw(t, "weight") {
		in.Weight = proto.Uint32(oneOf(t, "weight", []uint32{0, 1, 1_000_000}, 1_000_001))
	}
	for range rapid.IntRange(0, 4).Draw(t, "metadata") {
		if in.Metadata == nil {
			in.Metadata = map[string]string{}
		}
		in.Metadata[oneOf(t, "key", []string{"a", "b/c", "D_e", "f.g"}, "", "é")] = oneOf(t, "value", []string{"", "x", "é", string(make([]byte, 200))}, string(make([]byte, 20<<10)))
	}
	for range rapid.IntRange(0, 3).Draw(t, "capabilities") {
		in.Capabilities = append(in.Capabilities, oneOf(t, "capability", []string{"a", "b", "c", "d", "e", "f", "g"}, "", "é"))
	}
	switch rapid.IntRange(0, 9).Draw(t, "more") {
	case 0:
		in.SelfHealth = &musterv1.SelfHealth{Health: oneOf(t, "self_health", []musterv1.Health{0, 1, 2}, 9), Reason: oneOf(t, "reason", []string{"", "x"})}
	case 1:
		in.Shard = &musterv1.Shard{Kind: &musterv1.Shard_ShardIds{ShardIds: &musterv1.ShardIds{Ids: []uint32{1}}}}
	}
	return in
}

func drawRegister(t *rapid.T) *musterv1.RegisterRequest {
	m := &musterv1.RegisterRequest{RequestId: oneOf(t, "request_id", []string{"0123456789abcdef"}, "", "x", "0123456789abcde\xff")}
	for range oneOf(t, "instances", []int{1, 1, 2, 3}, 0, 4) {
		m.Instances = append(m.Instances, drawInstance(t))
	}
	if rapid.Bool().Draw(t, "ttl") {
		m.Ttl = oneOf(t, "ttl", []*durationpb.Duration{{Seconds: 5}, {Seconds: 1, Nanos: 1_000_000}, {Seconds: 3600}},
			&durationpb.Duration{}, &durationpb.Duration{Seconds: 1, Nanos: 1}, &durationpb.Duration{Seconds: 3601},
			&durationpb.Duration{Seconds: 1 << 40}, &durationpb.Duration{Seconds: 2, Nanos: -1}, &durationpb.Duration{Seconds: 5, Nanos: 1_000_000_000})
	}
	if rapid.IntRange(0, 19).Draw(t, "claims") == 0 {
		m.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: &musterv1.TakeOver{Incarnations: []uint64{1}}}
	}
	return m
}

// encodeAny encodes as some client might: pieces twice, in other orders, with
// pairs left out, with unknown fields, or damaged.
func encodeAny(t *rapid.T, m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		return []byte(rapid.StringN(0, 30, 60).Draw(t, "text"))
	}
	switch rapid.IntRange(0, 19).Draw(t, "encoding") {
	case 0:
		more, err := proto.Marshal(drawRegister(t))
		if err == nil {
			b = append(b, more...)
		}
	case 1:
		b = protowire.AppendString(protowire.AppendTag(b, protowire.Number(rapid.IntRange(1, 40).Draw(t, "unknown")), protowire.BytesType), "x")
	case 2, 3:
		if len(b) > 0 {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
	case 4:
		b = b[:rapid.IntRange(0, len(b)).Draw(t, "cut")]
	}
	return b
}

// TestPlainIsWhatTheLongWayMakes: whatever comes, what is taken as plain is
// valid, and comes out as decoding, checking and normalising make it.
func TestPlainIsWhatTheLongWayMakes(t *testing.T) {
	limits := validate.DefaultLimits()
	limits.InstancesPerLease = 3
	v := validate.New(limits)
	plain, valid := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		b := encodeAny(t, drawRegister(t))
		m := &musterv1.RegisterRequest{}
		refused := proto.Unmarshal(b, m)
		if refused == nil {
			refused = v.Register(m)
		}
		if refused == nil {
			valid++
		}
		p := v.Plain(b)
		if p == nil {
			return
		}
		defer p.Release()
		plain++
		if refused != nil {
			t.Fatalf("taken as plain, and yet %v", refused)
		}
		if p.TTL != validate.TTL(m.GetTtl()) || p.RequestID != m.GetRequestId() || m.GetClaim() != nil || len(p.Instances) != len(m.GetInstances()) {
			t.Fatalf("read as %v, %q, %d instances; want %v", p.TTL, p.RequestID, len(p.Instances), m)
		}
		for i, want := range m.GetInstances() {
			validate.Normalise(want)
			x, got := p.Instances[i], &musterv1.Instance{}
			if err := proto.Unmarshal(x.Body, got); err != nil || !proto.Equal(got, want) {
				t.Fatalf("instance %d is stored as\n%v (%v), want\n%v", i, got, err, want)
			}
			if x.Namespace != want.GetNamespace() || x.Service != want.GetService() || x.ID != want.GetInstanceId() {
				t.Fatalf("instance %d is called %q/%q/%q, want %v", i, x.Namespace, x.Service, x.ID, want)
			}
		}
	})
	if b, err := proto.Marshal(register(typical())); err != nil || v.Plain(b) == nil {
		t.Errorf("a typical request is not plain (%v)", err)
	}
	t.Logf("%d of %d valid requests were taken as plain", plain, valid)
}

func FuzzPlain(f *testing.F) {
	b, err := proto.Marshal(register(typical()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	v := validate.New(validate.DefaultLimits())
	f.Fuzz(func(t *testing.T, b []byte) {
		p := v.Plain(b)
		if p == nil {
			return
		}
		defer p.Release()
		m := &musterv1.RegisterRequest{}
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatalf("taken as plain, and yet not decodable: %v", err)
		}
		if err := v.Register(m); err != nil {
			t.Fatalf("taken as plain, and yet %v", err)
		}
		for i, want := range m.GetInstances() {
			validate.Normalise(want)
			got := &musterv1.Instance{}
			if err := proto.Unmarshal(p.Instances[i].Body, got); err != nil || !proto.Equal(got, want) {
				t.Fatalf("stored as\n%v (%v), want\n%v", got, err, want)
			}
		}
	})
}

func BenchmarkPlain(b *testing.B) {
	v := validate.New(validate.DefaultLimits())
	for _, n := range []int{1, 40} {
		m := register()
		for i := range n {
			in := proto.CloneOf(typical())
			in.InstanceId = fmt.Sprintf("instance-%07d", i)
			m.Instances = append(m.Instances, in)
		}
		request, err := proto.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("instances=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := v.Plain(request)
				if p == nil {
					b.Fatal("not plain")
				}
				p.Release()
			}
		})
	}
}
