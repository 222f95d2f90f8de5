package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// generatedSuffix marks files that this program wrote.
const generatedSuffix = "_generated.json"

// seeds are the inputs of each rule's vectors and what was learned of them.
type seeds map[string]*seed

type seed struct {
	inputs []any
	shape  *shape
}

// load reads the vectors that are written by hand or by conformance/gen.
func load(folder string) (seeds, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	all := make(seeds)
	for _, path := range paths {
		if strings.HasSuffix(path, generatedSuffix) {
			continue
		}
		var file struct {
			Rule  string
			Cases []struct{ Input any }
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if file.Rule == "" {
			continue
		}
		s := all[file.Rule]
		if s == nil {
			s = &seed{shape: newShape()}
			all[file.Rule] = s
		}
		for _, c := range file.Cases {
			s.inputs = append(s.inputs, c.Input)
			s.shape.learn(c.Input)
		}
	}
	return all, nil
}

// shape is what values at one place of an input were seen to be.
type shape struct {
	samples []any
	fields  map[string]*shape
	// seen counts objects here, and present how many of them had a field.
	seen    int
	present map[string]int
	element *shape
	// notDecimal and notHex: some text here was no 64-bit number, no bytes.
	notDecimal, notHex bool
}

// longestSamples bounds what is remembered of one place.
const longestSamples = 512

func newShape() *shape {
	return &shape{fields: make(map[string]*shape), present: make(map[string]int)}
}

func (s *shape) learn(value any) {
	if len(s.samples) < longestSamples {
		s.samples = append(s.samples, value)
	}
	switch value := value.(type) {
	case map[string]any:
		s.seen++
		for name, field := range value {
			s.present[name]++
			if s.fields[name] == nil {
				s.fields[name] = newShape()
			}
			s.fields[name].learn(field)
		}
	case []any:
		if s.element == nil {
			s.element = newShape()
		}
		for _, element := range value {
			s.element.learn(element)
		}
	case string:
		s.notDecimal = s.notDecimal || value == "" || strings.Trim(value, "0123456789") != ""
		s.notHex = s.notHex || len(value)%2 != 0 || strings.Trim(value, "0123456789abcdef") != ""
	}
}

// optional tells whether a field was missing somewhere.
func (s *shape) optional(name string) bool { return s.present[name] < s.seen }
