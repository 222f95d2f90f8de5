package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const (
	// generatedCases is how many cases a file gets, at most.
	generatedCases = 20
	// generatedTries is how many inputs they are chosen from.
	generatedTries = 2000
	// generatedBytes bounds a case, so that people can read it.
	generatedBytes = 700
)

// writeGenerated writes a file for each rule: inputs that no case has, with
// answers that no other has and on which both languages agree.
func writeGenerated(p *pair, m *maker, o options) error {
	for _, rule := range m.names {
		var lines [][]byte
		seen := make(map[string]bool)
		for tried := 0; tried < generatedTries && len(lines) < generatedCases; {
			batch := make([]question, 100)
			for i := range batch {
				batch[i] = m.question(rule)
				batch[i].garbage = nil
			}
			tried += len(batch)
			answers, err := p.ask(batch)
			if err != nil {
				return err
			}
			for i, a := range answers {
				if !a.agree() {
					return report(p, batch[i])
				}
				if line, ok := generatedCase(batch[i], a, len(lines)); ok && !seen[string(a[0])] && len(lines) < generatedCases {
					seen[string(a[0])] = true
					lines = append(lines, line)
				}
			}
		}
		if err := writeCases(filepath.Join(o.vectors, rule+generatedSuffix), rule, o.seed, lines); err != nil {
			return err
		}
	}
	return nil
}

// generatedCase is one line of a file; false if it is of no use there.
func generatedCase(q question, a answer, number int) ([]byte, bool) {
	var decoded struct {
		Output json.RawMessage `json:"output"`
	}
	if err := json.Unmarshal(a[1], &decoded); err != nil || decoded.Output == nil {
		return nil, false
	}
	line := fmt.Appendf(nil, `{"name": "generated %d", "input": %s, "output": %s}`, number+1, encode(q.input), decoded.Output)
	return line, len(line) <= generatedBytes
}

func writeCases(path, rule string, seed uint64, lines [][]byte) error {
	text := fmt.Appendf(nil, "{\n  \"about\": \"Random inputs of the rule, on which both clients agree. See docs/client-spec.md.\",\n"+
		"  \"rule\": %q,\n  \"generator\": \"conformance/fuzz -write\",\n  \"seed\": %d,\n  \"cases\": [\n    ", rule, seed)
	text = append(text, bytes.Join(lines, []byte(",\n    "))...)
	return os.WriteFile(path, append(text, "\n  ]\n}\n"...), 0o644) //nolint:gosec // public
}
