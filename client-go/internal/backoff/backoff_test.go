package backoff

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDelayStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		failures := rapid.IntRange(0, 100).Draw(t, "failures")
		limit := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "limit"))
		word := rapid.Uint64().Draw(t, "word")
		var b Backoff
		for range failures {
			b.Next(limit, word)
		}
		got := b.Next(limit, word)
		if got < Floor || got > max(limit, Floor) {
			t.Fatalf("delay %v outside of %v to %v", got, Floor, limit)
		}
		if more := b.Next(limit, word); more < got {
			t.Fatalf("the delay fell from %v to %v with one failure more", got, more)
		}
	})
}

func TestOnlyAGoodStreamResets(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages bool
		lived    time.Duration
		want     uint32
	}{
		{"lived long, said nothing", false, time.Hour, 3},
		{"one message, then died", true, ResetAfter - 1, 3},
		{"good", true, ResetAfter, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b Backoff
			for range 3 {
				b.Next(time.Second, 0)
			}
			b.StreamEnded(c.messages, c.lived)
			if got := b.Failures(); got != c.want {
				t.Errorf("%d failures are left, want %d", got, c.want)
			}
		})
	}
}
