package semver_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/muster-registry/muster/server/selector/semver"
)

// TestVectors runs conformance/vectors/semver.json.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("../../../conformance/vectors/semver.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name, Range, Normalised string
			Match, Differ           []string
		}
		Order       []string
		BadRanges   []string `json:"bad_ranges"`
		BadVersions []string `json:"bad_versions"`
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases)*len(file.Order)*len(file.BadRanges)*len(file.BadVersions) == 0 {
		t.Fatalf("the file is incomplete, or %v", err)
	}
	for _, c := range file.Cases {
		r, err := semver.ParseRange(c.Range)
		if err != nil || r.String() != c.Normalised {
			t.Errorf("%s: %q normalises to %q, %v", c.Name, c.Range, r, err)
		}
		for _, v := range c.Match {
			if !r.MatchText(v) {
				t.Errorf("%s: %q does not match %q", c.Name, c.Range, v)
			}
		}
		for _, v := range c.Differ {
			if r.MatchText(v) {
				t.Errorf("%s: %q matches %q", c.Name, c.Range, v)
			}
		}
	}
	for i := 1; i < len(file.Order); i++ {
		a, b := mustParse(t, file.Order[i-1]), mustParse(t, file.Order[i])
		if a.Compare(b) >= 0 || b.Compare(a) <= 0 {
			t.Errorf("%v is not below %v", a, b)
		}
	}
	for _, text := range file.BadRanges {
		if r, err := semver.ParseRange(text); err == nil {
			t.Errorf("range %q reads as %q", text, r)
		}
	}
	for _, text := range file.BadVersions {
		if v, err := semver.Parse(text); err == nil {
			t.Errorf("version %q reads as %v", text, v)
		}
	}
}
