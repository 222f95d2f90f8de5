package selector_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/muster-registry/muster/server/selector"
)

// TestVectors runs conformance/vectors/view_id.json.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("../../conformance/vectors/view_id.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name        string
			Selector    json.RawMessage
			AccessClass string `json:"access_class"`
			Canonical   string
			ViewID      string `json:"view_id"`
		}
		Refused []struct {
			Name     string
			Selector json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases) == 0 {
		t.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	for _, c := range file.Cases {
		s := compile(t, string(c.Selector))
		if got := hex.EncodeToString(s.Canonical()); got != c.Canonical {
			t.Errorf("%s: canonical form is %s, want %s", c.Name, got, c.Canonical)
		}
		if got := strconv.FormatUint(s.ViewID(c.AccessClass), 10); got != c.ViewID {
			t.Errorf("%s: view id is %s, want %s", c.Name, got, c.ViewID)
		}
	}
	for _, c := range file.Refused {
		if _, err := selector.Compile(parse(t, string(c.Selector))); err == nil {
			t.Errorf("%s: compiles", c.Name)
		}
	}
}
