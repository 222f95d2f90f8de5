package similar

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	names := []string{"listen", "history", "log.level", "log.format"}
	for typed, want := range map[string]string{
		"lisen": "listen", "histroy": "history", "loglevel": "log.level", "format": "log.format", "": "listen",
	} {
		if got := Nearest(typed, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", typed, got, want)
		}
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("nearest of none is %q", got)
	}
}

func TestNames(t *testing.T) {
	names := []string{"orders", "payment", "payments", "pay", "paymnets"}
	tests := []struct {
		typed string
		most  int
		want  []string
	}{
		{"paymnets", 3, []string{"payments"}},
		{"paymnts", 3, []string{"payments", "paymnets", "payment"}},
		{"paymnts", 1, []string{"payments"}},
		{"ordesr", 3, []string{"orders"}},
		{"billing", 3, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, Names(tt.typed, names, tt.most)); diff != "" && len(tt.want) > 0 {
			t.Errorf("names like %q (-want +got):\n%s", tt.typed, diff)
		}
	}
}

func TestDistance(t *testing.T) {
	word := rapid.StringMatching(`[a-c]{0,8}`)
	rapid.Check(t, func(rt *rapid.T) {
		a, b, c := word.Draw(rt, "a"), word.Draw(rt, "b"), word.Draw(rt, "c")
		if distance(a, b) != distance(b, a) {
			rt.Fatal("not symmetric")
		}
		if (distance(a, b) == 0) != (a == b) {
			rt.Fatal("zero means something else than equal")
		}
		if distance(a, c) > distance(a, b)+distance(b, c) {
			rt.Fatal("a detour is shorter")
		}
		if d := distance(a, b); d < max(len(a), len(b))-min(len(a), len(b)) || d > max(len(a), len(b)) {
			rt.Fatalf("distance %d is out of bounds", d)
		}
	})
}
