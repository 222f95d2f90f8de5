package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreUpToDate(t *testing.T) {
	stale, err := update("../..", false)
	if err != nil || len(stale) > 0 {
		t.Errorf("not up to date: %v, %v; run: go run ./conformance/defaults", stale, err)
	}
}

func TestChangedDefaultChangesEveryFile(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		source:                `{"durations_ms":[{"name":"fresh_for","value":90000,"about":"an age"}],"numbers":[{"name":"weight","value":1234567,"rust":"u32","about":"a weight"}]}`,
		"docs/client-spec.md": "before\n" + begin + "old" + end + "after\n",
		"client-go/internal/defaults/defaults.go": "",
		"client-rust/rules/src/defaults.rs":       "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if stale, err := update(root, false); err != nil || len(stale) != 3 {
		t.Fatalf("stale %v, %v; want all three", stale, err)
	}
	if _, err := update(root, true); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"docs/client-spec.md":                     {"before\n", "| `fresh_for` | 90 s | an age |", "| `weight` | 1,234,567 | a weight |", "after\n"},
		"client-go/internal/defaults/defaults.go": {"FreshFor = 90_000 * time.Millisecond", "Weight = 1_234_567"},
		"client-rust/rules/src/defaults.rs":       {"/// An age.\npub const FRESH_FOR: Duration = Duration::from_millis(90_000);", "pub const WEIGHT: u32 = 1_234_567;"},
	} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s lacks %q:\n%s", name, part, text)
			}
		}
	}
	if stale, err := update(root, false); err != nil || len(stale) != 0 {
		t.Errorf("stale %v, %v after writing", stale, err)
	}
}

func TestDefaultsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, text := range []string{
		`{"durations_ms":[{"name":"a","value":0,"about":"x"}]}`,
		`{"durations_ms":[{"name":"a","value":1}]}`,
		`{"durations_ms":[{"name":"a","value":1,"about":"x"},{"name":"a","value":1,"about":"x"}]}`,
		`{`,
	} {
		path := filepath.Join(t.TempDir(), "defaults.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := read(path); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
