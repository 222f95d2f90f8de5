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

// vectors are the cases of one rule.
type vectors struct {
	// Rule is empty of a file of another form.
	Rule  string
	Cases []struct {
		Name          string
		Input, Output json.RawMessage
	}
}

// TestVectors runs every file of the conformance vectors that names a rule.
func TestVectors(t *testing.T) {
	for _, path := range vectorFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			file := readVectors(t, path)
			if file.Rule == "" {
				return // of another form; the client's own tests run it
			}
			for _, c := range file.Cases {
				t.Run(c.Name, func(t *testing.T) {
					output, err := Call(file.Rule, c.Input)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(decoded(t, c.Output), decoded(t, output)); diff != "" {
						t.Errorf("input %s (-want +got):\n%s", c.Input, diff)
					}
				})
			}
		})
	}
}

// TestVectorsOfEveryRule wants a file about each rule.
func TestVectorsOfEveryRule(t *testing.T) {
	var about []string
	for _, path := range vectorFiles(t) {
		about = append(about, readVectors(t, path).Rule)
	}
	for _, name := range Names() {
		if !slices.Contains(about, name) {
			t.Errorf("no file of the vectors is about the rule %s", name)
		}
	}
}

func vectorFiles(t *testing.T) []string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "..", "conformance", "vectors", "*.json"))
	if len(files) == 0 {
		t.Skip("the conformance vectors are not here; this is the module alone")
	}
	return files
}

func readVectors(t *testing.T, path string) (file vectors) {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // a file of this repository
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file
}

func decoded(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}
