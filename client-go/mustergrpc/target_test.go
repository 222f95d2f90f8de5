package mustergrpc

import (
	"strings"
	"testing"

	"github.com/muster-registry/muster/client-go"
)

func TestParseTarget(t *testing.T) {
	for _, c := range []struct{ target, want, problem string }{
		{target: "muster:///shop/pay", want: "shop/pay"},
		{target: "muster:///shop/pay.v2_x", want: "shop/pay.v2_x"},
		{target: "", problem: "does not begin with"},
		{target: "shop/pay", problem: "does not begin with"},
		{target: "dns:///shop/pay", problem: "does not begin with"},
		{target: "muster://10.0.0.5:7070/shop/pay", problem: "must name no server"},
		{target: "muster:shop/pay", problem: "must name no server"},
		{target: "muster:///shop", problem: "needs a namespace and a service"},
		{target: "muster:///shop/", problem: "needs a namespace and a service"},
		{target: "muster:////pay", problem: "needs a namespace and a service"},
		{target: "muster:///shop/pay/grpc", problem: "and nothing else"},
		{target: "muster:///shop/pay?version=>=1.2.0", problem: "a query is not understood"},
		{target: "muster:///shop/pay#1", problem: "a fragment is not understood"},
		{target: "muster:///shop/p%61y", problem: "an escape is not understood"},
	} {
		got, err := parseTarget(c.target)
		switch {
		case c.problem == "" && (err != nil || got.String() != c.want):
			t.Errorf("%q: %v, %v; want %s", c.target, got, err, c.want)
		case c.problem != "" && (err == nil || err.Reason != muster.ReasonInvalidArgument || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%q: %v; want %q", c.target, err, c.problem)
		}
	}
}

func TestNewClientRefusesNamesThatCannotBe(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, target := range []string{"muster:///Shop/pay", "muster:///shop/pay ", "muster:///shop/.."} {
			if _, err := NewClient(w.client, target); muster.ReasonOf(err) != muster.ReasonInvalidArgument {
				t.Errorf("%q: %v", target, err)
			}
		}
	})
}

func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"muster:///shop/pay", "muster:///a/b?c#d", "muster://", "muster:///%2f/x", "muster:///\x00/\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		name, err := parseTarget(target)
		if err != nil {
			return
		}
		if again := targetPrefix + name.Namespace + "/" + name.Service; again != target {
			t.Fatalf("%q reads as %q", target, again)
		}
		if name.Namespace == "" || name.Service == "" || strings.ContainsAny(target, "?#%") {
			t.Fatalf("%q was taken", target)
		}
	})
}
