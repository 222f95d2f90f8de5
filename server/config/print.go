package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

const printHead = "a flag goes before the environment, that before the file, and that before the default"

// YAML is the effective configuration as a file, with a comment at each value
// that says where it came from. Loaded as a file it gives the same again.
func (e *Effective) YAML() ([]byte, error) {
	top := &yaml.Node{Kind: yaml.MappingNode, HeadComment: "# " + printHead}
	groups := map[string]*yaml.Node{"": top}
	for _, s := range settings() {
		into := groups[s.group()]
		if into == nil {
			into = &yaml.Node{Kind: yaml.MappingNode}
			groups[s.group()] = into
			top.Content = append(top.Content, textNode(s.group()), into)
		}
		value := textNode(s.show(&e.Config))
		value.LineComment = e.places[s.name]
		into.Content = append(into.Content, textNode(s.leaf()), value)
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(top); err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return b.Bytes(), nil
}

// textNode leaves it to YAML whether the text needs quotes.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	n.Tag = ""
	return n
}
