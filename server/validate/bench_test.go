package validate_test

import (
	"testing"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

func BenchmarkInstance(b *testing.B) {
	in := typical()
	b.ReportAllocs()
	for b.Loop() {
		if err := everything.Instance(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRegister(b *testing.B) {
	request := register(typical())
	b.ReportAllocs()
	for b.Loop() {
		if err := everything.Register(request); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKeepAlive(b *testing.B) {
	request := &musterv1.KeepAliveRequest{Sequence: 2, LeaseIds: []string{lease, lease}}
	b.ReportAllocs()
	for b.Loop() {
		if err := everything.KeepAlive(request, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSelector(b *testing.B) {
	s := plain()
	b.ReportAllocs()
	for b.Loop() {
		if err := everything.Selector(s); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAcceptingHardlyAllocates holds what the package promises.
func TestAcceptingHardlyAllocates(t *testing.T) {
	in, request := typical(), register(typical())
	keepalive := &musterv1.KeepAliveRequest{Sequence: 2, LeaseIds: []string{lease}}
	for name, check := range map[string]func() error{
		"Instance":  func() error { return everything.Instance(in) },
		"Register":  func() error { return everything.Register(request) },
		"KeepAlive": func() error { return everything.KeepAlive(keepalive, 1) },
	} {
		allocations := testing.AllocsPerRun(100, func() {
			if err := check(); err != nil {
				t.Fatal(err)
			}
		})
		if allocations > 2 {
			t.Errorf("%s allocates %v times", name, allocations)
		}
	}
}
