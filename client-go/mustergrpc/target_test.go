package mustergrpc

import (
	"testing"

	"github.com/muster-registry/muster/client-go"
)

// What targets may hold is the rule's business, which has vectors.
func TestBadTargetsAreRefusedByName(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for target, want := range map[string]string{
			"":                                `muster: target "": byte 0: it does not begin with muster:///; use muster:///namespace/service [INVALID_ARGUMENT]`,
			"dns:///shop/pay":                 `muster: target "dns:///shop/pay": byte 0: it does not begin with muster:///; use muster:///namespace/service [INVALID_ARGUMENT]`,
			"muster:///shop":                  `muster: target "muster:///shop": byte 14: the service is missing; use muster:///namespace/service [INVALID_ARGUMENT]`,
			"muster:///shop/pay?version=>1.0": `muster: target "muster:///shop/pay?version=>1.0": byte 19: only endpoint=NAME may follow the question mark; use muster:///namespace/service [INVALID_ARGUMENT]`,
		} {
			_, err := NewClient(w.client, target)
			if muster.ReasonOf(err) != muster.ReasonInvalidArgument || err.Error() != want {
				t.Errorf("%q: %v\nwant %s", target, err, want)
			}
		}
	})
}
