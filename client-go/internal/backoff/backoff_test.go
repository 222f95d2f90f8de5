package backoff

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestVectors(t *testing.T) {
	b, err := os.ReadFile("../../../conformance/vectors/backoff.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the conformance vectors are not here; this is the module alone")
	}
	var file struct {
		Cases []struct {
			Attempt int
			Cap     int64  `json:"cap_ms"`
			Word    uint64 `json:"word,string"`
			Delay   int64  `json:"delay_ms"`
		}
	}
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range file.Cases {
		if got := Delay(c.Attempt, time.Duration(c.Cap)*time.Millisecond, c.Word).Milliseconds(); got != c.Delay {
			t.Errorf("attempt %d, cap %d ms, word %d: %d ms, want %d", c.Attempt, c.Cap, c.Word, got, c.Delay)
		}
	}
}

func TestDelayStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		failures := rapid.IntRange(0, 1<<20).Draw(t, "failures")
		limit := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "limit"))
		word := rapid.Uint64().Draw(t, "word")
		got := Delay(failures, limit, word)
		if got < Floor || got > max(limit, Floor) {
			t.Fatalf("delay %v outside of %v to %v", got, Floor, limit)
		}
		if more := Delay(failures+1, limit, word); more < got {
			t.Fatalf("the delay fell from %v to %v with one failure more", got, more)
		}
	})
}

func TestOnlyAGoodStreamResets(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages bool
		lived    time.Duration
		want     int
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
