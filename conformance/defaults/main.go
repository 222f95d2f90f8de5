// Command defaults writes the defaults that both clients share, which are in
// conformance/defaults.json, as constants of Go and Rust and as the table in
// docs/client-spec.md:
//
//	go run ./conformance/defaults
//
// Its test tells when they are not up to date.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const source = "conformance/defaults.json"

// table is what the source holds.
type table struct {
	Durations []entry `json:"durations_ms"`
	Numbers   []entry `json:"numbers"`
}

// entry is one default.
type entry struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
	About string `json:"about"`
	// Rust is the type of a number there.
	Rust string `json:"rust"`
}

func main() {
	stale, err := update(".", true)
	for _, name := range stale {
		fmt.Println("brought up to date:", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "defaults:", err)
		os.Exit(1)
	}
}

// update names the files that are not up to date, and writes them if asked to.
func update(root string, write bool) (stale []string, err error) {
	t, err := read(filepath.Join(root, source))
	if err != nil {
		return nil, err
	}
	for _, target := range []struct {
		path   string
		render func(t table, old string) (string, error)
	}{
		{"client-go/internal/defaults/defaults.go", inGo},
		{"client-rust/rules/src/defaults.rs", inRust},
		{"docs/client-spec.md", inDocs},
	} {
		path := filepath.Join(root, target.path)
		old, err := os.ReadFile(path) //nolint:gosec // named above
		if err != nil && !os.IsNotExist(err) {
			return stale, err
		}
		text, err := target.render(t, string(old))
		if err != nil {
			return stale, fmt.Errorf("%s: %w", target.path, err)
		}
		if text == string(old) {
			continue
		}
		stale = append(stale, target.path)
		if !write {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // public
			return stale, err
		}
	}
	return stale, nil
}

func read(path string) (t table, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // the source
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return t, fmt.Errorf("%s: %w", path, err)
	}
	seen := map[string]bool{}
	for _, e := range slices.Concat(t.Durations, t.Numbers) {
		if e.Name == "" || e.About == "" || e.Value <= 0 || seen[e.Name] {
			return t, fmt.Errorf("%s: %q occurs twice, or has no name, value or sentence", path, e.Name)
		}
		seen[e.Name] = true
	}
	return t, nil
}
