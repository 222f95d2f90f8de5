package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mutantsOfText has one mutant of each fate, in a file of one line.
func mutantsOfText(fates ...fate) []*mutant {
	s := &source{path: "folder/rule.go", text: []byte("x := 1\n")}
	var all []*mutant
	for _, f := range fates {
		all = append(all, &mutant{source: s, from: 5, to: 6, text: "2", line: 1, declaration: "Rule", fate: f})
	}
	return all
}

const explanation = "- `rule.go` `Rule`: `x := 1` becomes `x := 2`: x is not read"

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		mutants   []*mutant
		explained []string
		good      bool
		last      string
	}{
		"all killed":          {mutantsOfText(killed, killed, impossible), nil, true, "2 mutants, 2 killed, 0 survived, of which 0 are explained; score 100.0 %"},
		"one survives":        {mutantsOfText(killed, survived), nil, false, "2 mutants, 1 killed, 1 survived, of which 0 are explained; score 50.0 %"},
		"one is not reached":  {mutantsOfText(unreached), nil, false, "1 mutants, 0 killed, 1 survived, of which 0 are explained; score 0.0 %"},
		"it is explained":     {mutantsOfText(killed, survived), []string{explanation}, true, "2 mutants, 1 killed, 1 survived, of which 1 are explained; score 50.0 %"},
		"another is":          {mutantsOfText(survived), []string{strings.Replace(explanation, ":= 2", ":= 3", 1)}, false, "1 mutants, 0 killed, 1 survived, of which 0 are explained; score 0.0 %"},
		"explained, but dead": {mutantsOfText(killed), []string{explanation}, false, "1 mutants, 1 killed, 0 survived, of which 0 are explained; score 100.0 %"},
		"of a file not tried": {mutantsOfText(killed), []string{strings.Replace(explanation, "rule.go", "other.go", 1)}, true, "1 mutants, 1 killed, 0 survived, of which 0 are explained; score 100.0 %"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := &report{c.mutants, c.explained}
			if good := r.write(&out, options{explained: "MUTANTS.md", every: 1}); good != c.good {
				t.Errorf("good: %v\n%s", good, &out)
			}
			if !strings.HasSuffix(out.String(), c.last+"\n") {
				t.Errorf("it ends otherwise:\n%s", &out)
			}
		})
	}
}

func TestReadExplained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "MUTANTS.md")
	if err := os.WriteFile(path, []byte("# Title\n\n- an item\n- `rule.rs` is none\n"+explanation+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines, err := readExplained(path)
	if err != nil || len(lines) != 1 || lines[0] != explanation {
		t.Errorf("%q, %v", lines, err)
	}
	if _, err := readExplained(path + "x"); err == nil {
		t.Error("a file that is not there explains nothing")
	}
}
