package semver_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/muster-registry/muster/server/selector/semver"
)

// vectors reads the cases of a file of conformance/vectors.
func vectors[In, Out any](t *testing.T, name string) (cases []struct {
	Name   string
	Input  In
	Output Out
},
) {
	t.Helper()
	text, err := os.ReadFile("../../../conformance/vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	file := struct{ Cases any }{&cases}
	if err := json.Unmarshal(text, &file); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	return cases
}

// TestVectors runs conformance/vectors/semver.json.
func TestVectors(t *testing.T) {
	type input struct {
		Range    string
		Versions []string
	}
	type output struct {
		Error, Normalised string
		Matches           []bool
	}
	for _, c := range vectors[input, output](t, "semver.json") {
		r, err := semver.ParseRange(c.Input.Range)
		if (err != nil) != (c.Output.Error != "") || r.String() != c.Output.Normalised {
			t.Errorf("%s: %q normalises to %q, %v", c.Name, c.Input.Range, r, err)
			continue
		}
		for i, v := range c.Input.Versions {
			if err == nil && r.MatchText(v) != c.Output.Matches[i] {
				t.Errorf("%s: that %q matches %q is not %t", c.Name, c.Input.Range, v, c.Output.Matches[i])
			}
		}
	}
}

// TestOrderVectors runs conformance/vectors/semver_order.json.
func TestOrderVectors(t *testing.T) {
	type input struct{ Versions []string }
	type output struct {
		Errors []string
		Order  []int
	}
	for _, c := range vectors[input, output](t, "semver_order.json") {
		var before semver.Version
		for i, text := range c.Input.Versions {
			v, err := semver.Parse(text)
			if (err != nil) != (c.Output.Errors[i] != "") {
				t.Errorf("%s: %q reads as %v, %v", c.Name, text, v, err)
			}
			if i > 0 && v.Compare(before) != c.Output.Order[i-1] {
				t.Errorf("%s: %v is not in order after %v", c.Name, v, before)
			}
			before = v
		}
	}
}
