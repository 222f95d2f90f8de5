package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	page  = "../../docs/operations.md"
	begin = "<!-- exit codes: written by `go test ./cmd/muster -rewrite` -->\n"
	end   = "<!-- /exit codes -->\n"
)

// TestDocumentation compares the table of exit codes with the code.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the exit codes", page)
	}
	var b strings.Builder
	b.WriteString("\n| exit code | meaning |\n| --- | --- |\n")
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "| %d | %s |\n", e.code, e.meaning)
	}
	b.WriteString("\n")
	if *rewrite {
		if err := os.WriteFile(page, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, b.String()); diff != "" {
		t.Errorf("%s is not what the code says; go test ./cmd/muster -rewrite (-page +code):\n%s", page, diff)
	}
}
