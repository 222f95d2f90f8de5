package evaluate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestVectors runs every file of the conformance vectors that names a rule.
func TestVectors(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "..", "conformance", "vectors", "*.json"))
	if len(files) == 0 {
		t.Skip("the conformance vectors are not here; this is the module alone")
	}
	var run []string
	for _, path := range files {
		content, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Rule  string
			Cases []struct {
				Name          string
				Input, Output json.RawMessage
			}
		}
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if file.Rule == "" {
			continue // of another form; the client's own tests run it
		}
		run = append(run, file.Rule)
		for _, c := range file.Cases {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".json")+"/"+c.Name, func(t *testing.T) {
				output, err := Call(file.Rule, c.Input)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(decoded(t, c.Output), decoded(t, output)); diff != "" {
					t.Errorf("input %s (-want +got):\n%s", c.Input, diff)
				}
			})
		}
	}
	for _, name := range Names() {
		if !slices.Contains(run, name) {
			t.Errorf("no file of the vectors is about the rule %s", name)
		}
	}
}

func decoded(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}
