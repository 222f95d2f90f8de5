package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/knadh/koanf/providers/file"
	"go.yaml.in/yaml/v3"

	"github.com/muster-registry/muster/server/config/similar"
)

// fromFile reads the layer of a YAML file. A file that cannot be read is one
// of the layer's problems.
func fromFile(path string, known []setting) *layer {
	r := &fileReader{
		path: path, layer: &layer{places: map[string]string{}},
		settings: map[string]bool{}, groups: map[string]bool{}, lines: map[string]int{},
	}
	for i := range known {
		r.names = append(r.names, known[i].name)
		r.settings[known[i].name] = true
		if g := known[i].group(); g != "" {
			r.groups[g] = true
		}
	}
	if err := r.layer.load(file.Provider(path), r); err != nil {
		var missing *fs.PathError
		if errors.As(err, &missing) {
			err = missing.Err
		}
		r.layer.problems = append(r.layer.problems, Problem{Place: "file " + path, Text: err.Error()})
	}
	return r.layer
}

// fileReader is a koanf parser that keeps values as they are written, and
// remembers on which line.
type fileReader struct {
	path     string
	layer    *layer
	names    []string
	settings map[string]bool
	groups   map[string]bool
	lines    map[string]int
}

// Marshal is the half of a parser that nobody needs here.
func (r *fileReader) Marshal(map[string]any) ([]byte, error) {
	return nil, errors.New("not supported")
}

// Unmarshal implements koanf.Parser.
func (r *fileReader) Unmarshal(text []byte) (map[string]any, error) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, nil // an empty file
	}
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, fmt.Errorf("line %d: a second document begins; put all settings into one", second.Line)
	case !errors.Is(err, io.EOF):
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	values := map[string]any{}
	r.walk("", document.Content[0], values)
	return values, nil
}

// walk collects the values below a node; name is what leads there.
func (r *fileReader) walk(name string, n *yaml.Node, values map[string]any) {
	line := n.Line
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case (name == "" || r.groups[name]) && n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.walk(below(name, n.Content[i].Value), n.Content[i+1], values)
		}
	case name == "" || r.groups[name]:
		// A group whose settings are all commented out is null.
		if n.Tag != "!!null" {
			r.wrong(name, line, "must be settings, each as \"name: value\"")
		}
	case !r.settings[name]:
		r.unknown(name, line)
	case r.lines[name] != 0:
		r.wrong(name, line, fmt.Sprintf("is set twice, before on line %d", r.lines[name]))
	case n.Kind != yaml.ScalarNode:
		r.wrong(name, line, "must be one value, not a list or a group")
	default:
		r.take(name, n, line, values)
	}
}

// below is the name of a key in a group. No key has the name of the whole file.
func below(group, key string) string {
	switch {
	case key == "":
		return `""`
	case group == "":
		return key
	default:
		return group + "." + key
	}
}

func (r *fileReader) take(name string, n *yaml.Node, line int, values map[string]any) {
	r.lines[name] = line
	r.layer.places[name] = r.place(line)
	text := n.Value
	if n.Tag == "!!null" {
		text = ""
	}
	group, leaf, found := strings.Cut(name, ".")
	if !found {
		values[name] = text
		return
	}
	if values[group] == nil {
		values[group] = map[string]any{}
	}
	values[group].(map[string]any)[leaf] = text
}

func (r *fileReader) place(line int) string { return fmt.Sprintf("file %s line %d", r.path, line) }

func (r *fileReader) wrong(name string, line int, text string) {
	r.layer.problems = append(r.layer.problems, Problem{Name: name, Place: r.place(line), Text: text})
}

func (r *fileReader) unknown(name string, line int) {
	r.wrong(name, line, fmt.Sprintf("there is no such setting; did you mean %s?", similar.Nearest(name, r.names)))
}
