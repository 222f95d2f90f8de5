package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

const vectors = "../vectors"

// TestVectorsAreUpToDate fails when a vector was edited by hand, or when the
// program changed and was not run.
func TestVectorsAreUpToDate(t *testing.T) {
	for name, content := range files() {
		got, err := os.ReadFile(filepath.Join(vectors, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, encode(content)) {
			t.Errorf("%s differs from what gen writes; run: go run ./conformance/gen conformance/vectors docs/protocol.md", name)
		}
	}
}

func TestXXH64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "bytes")
		if got, want := xxh64(b), xxhash.Sum64(b); got != want {
			t.Fatalf("xxh64(%x) = %x, want %x", b, got, want)
		}
	})
	if got := xxh64([]byte("abc")); got != 0x44bc2cf5ad770999 { // from the specification of XXH64
		t.Errorf("xxh64(abc) = %x", got)
	}
}

// TestVectorFiles checks of every file, hand-written ones included, that it is
// JSON, says what it is about, and names each case once.
func TestVectorFiles(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(vectors, "*.json"))
	if err != nil || len(names) < 10 {
		t.Fatalf("%d vector files, %v", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			About string `json:"about"`
			Cases []struct {
				Name string `json:"name"`
			} `json:"cases"`
		}
		if err := json.Unmarshal(text, &file); err != nil || !strings.Contains(file.About, "docs/") || len(file.Cases) == 0 {
			t.Errorf("%s: %v, about %q, %d cases", name, err, file.About, len(file.Cases))
		}
		seen := map[string]bool{}
		for _, c := range file.Cases {
			if c.Name != "" && seen[c.Name] {
				t.Errorf("%s: two cases are named %q", name, c.Name)
			}
			seen[c.Name] = true
		}
	}
}

func TestLayoutKeepsTheContent(t *testing.T) {
	for name, content := range files() {
		want, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(want, &a) != nil || json.Unmarshal(encode(content), &b) != nil {
			t.Fatalf("%s is no JSON", name)
		}
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if !bytes.Equal(x, y) {
			t.Errorf("%s changed by its layout", name)
		}
	}
}
