package hub

import (
	"fmt"
	"slices"
	"testing"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// TestLeaveKeepsTheTurns: whoever leaves in the middle of a pass, everyone else
// is either still to be visited, or not, as before.
func TestLeaveKeepsTheTurns(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for visited := 0; visited <= n; visited++ {
			for leaves := range n {
				g := &group{visited: visited}
				for range n {
					g.join(&watcher{})
				}
				gone, due := g.watchers[leaves], slices.Clone(g.watchers[visited:])
				due = slices.DeleteFunc(due, func(w *watcher) bool { return w == gone })
				g.leave(gone)
				name := fmt.Sprintf("%d watchers, %d visited, %d leaves", n, visited, leaves)
				if len(g.watchers) != n-1 || slices.Contains(g.watchers, gone) {
					t.Errorf("%s: %d are left", name, len(g.watchers))
				}
				for _, w := range due {
					if w.index < g.visited || g.watchers[w.index] != w {
						t.Errorf("%s: one that was to be visited is not any more", name)
					}
				}
				if left := len(g.watchers) - g.visited; left != len(due) {
					t.Errorf("%s: %d are to be visited, want %d", name, left, len(due))
				}
			}
		}
	}
}

// TestSharedDeltaAsksWhomItMust: a delta that asks for an acknowledgement is
// not replaced by one for others that does not.
func TestSharedDeltaAsksWhomItMust(t *testing.T) {
	w := withoutSenders(t)
	a, b := w.watch(&tap{}, "pay"), w.watch(&tap{}, "pay")
	for _, x := range []*tap{a, b} {
		x.stream.Next(time.Now())
		x.stream.Next(time.Now())
	}
	w.instance("pay", "1", 10)
	for _, x := range b.stream.watchers {
		x.wantAck = true
	}
	for i, x := range []*tap{a, b} {
		messages, _ := x.stream.Next(time.Now())
		f := &musterv1.WatchResponse{}
		if len(messages) == 1 {
			f = frameOf(t, messages[0])
		}
		if asked := f.GetDelta().GetHeader().GetAckRequest() != nil; f.GetDelta() == nil || asked != (i == 1) {
			t.Errorf("watcher %d got %v", i, f)
		}
	}
}
