package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write the table of settings in docs/operations.md as it is now")

const (
	page  = "../../docs/operations.md"
	begin = "<!-- settings: written by `go test ./server/config -rewrite` -->\n"
	end   = "<!-- /settings -->\n"
)

// TestDocumentation compares the table of settings with the code.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table of settings", page)
	}
	table := settingsTable()
	if *rewrite {
		if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, table); diff != "" {
		t.Errorf("%s is not what the code says; go test ./server/config -rewrite (-page +code):\n%s", page, diff)
	}
}

func settingsTable() string {
	c := defaults()
	c.DataDir = defaultDataDir
	var b strings.Builder
	b.WriteString("\n| setting | default | allowed | meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range settings() {
		value := "`" + s.show(&c) + "`"
		if s.name == "data-dir" {
			value = defaultDataDir
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, value, s.allowed, s.meaning)
	}
	b.WriteString("\nBesides, ")
	for i, r := range related {
		if i > 0 {
			b.WriteString(", and ")
		}
		fmt.Fprintf(&b, "`%s` must be %s", r.name, r.allowed)
	}
	b.WriteString(".\n\n")
	return b.String()
}
