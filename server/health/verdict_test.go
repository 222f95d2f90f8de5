package health

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	self       = musterv1.HealthSource_HEALTH_SOURCE_SELF
	connection = musterv1.HealthSource_HEALTH_SOURCE_CONNECTION
	degraded   = musterv1.Health_HEALTH_DEGRADED
	unhealthy  = musterv1.Health_HEALTH_UNHEALTHY
)

func slot(s musterv1.HealthSource, h musterv1.Health) *musterv1.HealthSlot {
	return &musterv1.HealthSlot{Source: s, Health: h}
}

func TestVerdict(t *testing.T) {
	for name, x := range map[string]struct {
		slots []*musterv1.HealthSlot
		want  musterv1.Health
	}{
		"nobody says anything":         {nil, healthy},
		"one source":                   {[]*musterv1.HealthSlot{slot(self, degraded)}, degraded},
		"the worst of two":             {[]*musterv1.HealthSlot{slot(self, degraded), slot(connection, unhealthy)}, unhealthy},
		"unset reads as healthy":       {[]*musterv1.HealthSlot{slot(self, unset)}, healthy},
		"an operator decides alone":    {[]*musterv1.HealthSlot{slot(self, unhealthy), slot(operator, healthy)}, healthy},
		"an operator for the worse":    {[]*musterv1.HealthSlot{slot(operator, unhealthy), slot(self, healthy)}, unhealthy},
		"an operator who says nothing": {[]*musterv1.HealthSlot{slot(operator, unset), slot(self, unhealthy)}, healthy},
	} {
		if got := Verdict(x.slots); got != x.want {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
}

// TestSetAgainstModel: a slot a source, sorted, none that says healthy but an
// operator's; arguments stay as they are, and what is the same is said to be.
func TestSetAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var slots []*musterv1.HealthSlot
		model := map[musterv1.HealthSource]musterv1.Health{}
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			s := slot(musterv1.HealthSource(rapid.IntRange(1, 4).Draw(t, "source")), musterv1.Health(rapid.IntRange(0, 3).Draw(t, "health")))
			s.SinceTime = timestamppb.New(timestamppb.Now().AsTime().AddDate(0, 0, i))
			before := cloneAll(slots)
			next, changed := Set(slots, s)
			if !equalAll(slots, before) {
				t.Fatal("the argument was changed")
			}
			says := s.GetHealth()
			_, had := model[s.GetSource()]
			wantChanged := !had || model[s.GetSource()] != says
			if s.GetSource() != operator && (says == healthy || says == unset) {
				wantChanged = had
				delete(model, s.GetSource())
			} else {
				model[s.GetSource()] = says
			}
			if changed != wantChanged {
				t.Fatalf("changed = %v by %v over %v", changed, s, slots)
			}
			if !changed && !equalAll(next, before) {
				t.Fatal("not changed, and yet another")
			}
			slots = next
			if len(slots) != len(model) {
				t.Fatalf("slots = %v, want %v", slots, model)
			}
			for j, s := range slots {
				if model[s.GetSource()] != s.GetHealth() || j > 0 && slots[j-1].GetSource() >= s.GetSource() {
					t.Fatalf("slots = %v, want %v, sorted", slots, model)
				}
			}
		}
	})
}

func cloneAll(slots []*musterv1.HealthSlot) (out []*musterv1.HealthSlot) {
	for _, s := range slots {
		out = append(out, proto.CloneOf(s))
	}
	return out
}

func equalAll(a, b []*musterv1.HealthSlot) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !proto.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func TestTrimEndsAtARune(t *testing.T) {
	for _, s := range []string{"", "x", strings.Repeat("x", 256), strings.Repeat("x", 257), strings.Repeat("é", 200), "x" + strings.Repeat("é", 200), strings.Repeat("€", 100)} {
		got := Trim(s)
		if len(got) > maxReason || !utf8.ValidString(got) || !strings.HasPrefix(s, got) || len(s) > maxReason && len(got) < maxReason-3 {
			t.Errorf("%d bytes are cut to %d", len(s), len(got))
		}
	}
}
