package rpc

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector"
)

func anySelector(t testing.TB) *selector.Selector {
	t.Helper()
	s, err := selector.Compile(&musterv1.Selector{Names: &musterv1.Selector_Prefix{Prefix: &musterv1.ServicePrefix{}}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAnswersStayWithinTheirBudget under any order of calls, and find what they
// keep, and only that.
func TestAnswersStayWithinTheirBudget(t *testing.T) {
	sel := anySelector(t)
	rapid.Check(t, func(t *rapid.T) {
		a := newAnswers(10 * answerOverhead)
		out := map[string]*answer{} // what callers may still hold
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			key := fmt.Sprint("selector ", rapid.IntRange(0, 30).Draw(t, "selector"))
			x := a.get([]byte(key))
			if x == nil && rapid.Bool().Draw(t, "late") {
				x = out[key]
			}
			if x == nil {
				x = a.add([]byte(key), newAnswer(sel))
			}
			if x.key != key {
				t.Fatalf("asked for %q, got %q", key, x.key)
			}
			out[key] = x
			if rapid.Bool().Draw(t, "body") {
				a.keep(x, &body{bytes: rapid.IntRange(0, 3*answerOverhead).Draw(t, "bytes")})
			}
			bytes := 0
			for i, r := range a.ring {
				if a.bySelector[r.key] != r || r.dropped {
					t.Fatalf("%d of %d is not found by its selector", i, len(a.ring))
				}
				bytes += r.size
				if b := r.body.Load(); b != nil && r.size < b.bytes {
					t.Fatalf("%d bytes are counted as %d", b.bytes, r.size)
				}
			}
			if bytes != a.bytes || len(a.ring) != len(a.bySelector) || bytes > a.budget && len(a.ring) > 1 {
				t.Fatalf("%d bytes of %d counted, %d entries of %d found, budget %d", bytes, a.bytes, len(a.ring), len(a.bySelector), a.budget)
			}
		}
	})
}

// TestAnswersThatAreAskedForStay while others go.
func TestAnswersThatAreAskedForStay(t *testing.T) {
	sel := anySelector(t)
	a := newAnswers(10 * answerOverhead)
	a.add([]byte("often"), newAnswer(sel))
	for i := range 1000 {
		if a.get([]byte("often")) == nil {
			t.Fatalf("what is asked for all the time was dropped for the %d. other one", i)
		}
		a.add([]byte(fmt.Sprint(i)), newAnswer(sel))
	}
	long := make([]byte, maxKeptSelector+1)
	if x := a.add(long, newAnswer(sel)); x == nil || a.get(long) != nil {
		t.Error("a selector of any length is kept")
	}
}
