package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Pattern is what a scenario demands of an event, an answer or a state. What
// it does not mention may be anything; but if it names one instance, it names
// all of them.
type Pattern struct {
	kind       string
	conditions []condition
	instances  map[string][]condition
	removed    map[string]string
	exact      bool
	text       bool
}

// positions are the fields that bare words after the kind of an event stand for.
var positions = map[string][]string{
	"snapshot": {"cause"}, "delta": {}, "freshness": {"from", "to"}, "status": {"state"}, "ended": {"reason"}, "error": {"reason"},
}

// ParseEvent reads "KIND words": bare words as told by positions, +KEY{...},
// -KEY:REASON and conditions.
func ParseEvent(list []string) (Pattern, error) {
	p := Pattern{kind: list[0], instances: map[string][]condition{}, removed: map[string]string{}}
	p.exact = p.kind == "snapshot" || p.kind == "delta"
	if _, known := positions[p.kind]; !known {
		return p, fmt.Errorf("%q is no kind of event; known are snapshot, delta, freshness, status and ended", p.kind)
	}
	return p, p.words(list[1:], positions[p.kind])
}

// ParseAnswer reads what follows "=": "ok words", "! REASON words", or words
// alone, which means ok.
func ParseAnswer(list []string) (Pattern, error) {
	p := Pattern{kind: "ok", instances: map[string][]condition{}, removed: map[string]string{}}
	switch {
	case len(list) > 0 && list[0] == "ok":
		list = list[1:]
	case len(list) > 0 && list[0] == "!":
		p.kind, list = "error", list[1:]
	}
	return p, p.words(list, positions[p.kind])
}

// ParseState reads what a channel is to reach: KEY{...} of all instances,
// -KEY:REASON of some that left, "none" for no instance, a STATE of a
// registration, and conditions.
func ParseState(list []string) (Pattern, error) {
	p := Pattern{instances: map[string][]condition{}, removed: map[string]string{}}
	if len(list) == 0 {
		return p, errors.New("what is to be reached? name all instances, none, a state or conditions")
	}
	for i, w := range list {
		if key, _, _ := strings.Cut(w, "{"); strings.Contains(key, "/") && !strings.HasPrefix(w, "-") && !isCondition(w) {
			list[i] = "+" + w
		}
	}
	return p, p.words(list, []string{"state"})
}

func (p *Pattern) words(list, bare []string) error {
	for _, w := range list {
		var err error
		switch {
		case strings.HasPrefix(w, "+"):
			p.exact = true
			var key string
			var c []condition
			key, c, err = parseInstance(w[1:])
			p.instances[key] = c
		case strings.HasPrefix(w, "-"):
			p.exact = true
			key, reason, _ := strings.Cut(w[1:], ":")
			p.removed[key] = reason
		case w == "none":
			p.exact = true
		case isCondition(w):
			var c condition
			c, err = parseCondition(w)
			p.conditions = append(p.conditions, c)
			p.text = p.text || c.field == "text"
		case len(bare) > 0:
			p.conditions = append(p.conditions, condition{field: bare[0], operator: "=", value: w})
			bare = bare[1:]
		default:
			err = fmt.Errorf("%q means nothing here: want +KEY{...}, -KEY:REASON or name=value", w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// NamesText tells whether the pattern looks at the text for people: only then
// are texts compared between languages.
func (p Pattern) NamesText() bool { return p.text }

// Named is an event without what the pattern does not name: all that can be
// compared of a look at a moment that each language chooses for itself.
func (p Pattern) Named(e Event) Event {
	n := Event{Channel: e.Channel, Kind: e.Kind, Fields: e.Fields.only(p.conditions), Upserted: map[string]Fields{}, Removed: map[string]string{}}
	for key := range p.removed {
		n.Removed[key] = e.Removed[key]
	}
	if text := e.Fields["about.text"]; p.text && text != "" {
		n.Fields["about.text"] = text
	}
	for key, conditions := range p.instances {
		if fields, found := e.Upserted[key]; found {
			n.Upserted[key] = fields.only(conditions)
		}
	}
	return n
}

func (f Fields) only(list []condition) Fields {
	kept := Fields{}
	for _, c := range list {
		if value, found := f[c.field]; found {
			kept[c.field] = value
		}
	}
	return kept
}

// Mismatch says why an event does not match, empty if it does.
func (p Pattern) Mismatch(e Event, resolve func(string) string) string {
	if p.kind != "" && p.kind != e.Kind {
		return fmt.Sprintf("it is %q, not %q", e.Kind, p.kind)
	}
	for _, c := range p.conditions {
		if !c.holds(e.Fields, resolve) {
			return fmt.Sprintf("%s does not hold, it is %q", c, e.Fields.named(c.field))
		}
	}
	if !p.exact {
		return ""
	}
	return p.mismatchedInstances(e, resolve)
}

func (p Pattern) mismatchedInstances(e Event, resolve func(string) string) string {
	for key, conditions := range p.instances {
		fields, found := e.Upserted[key]
		if !found {
			return "+" + key + " is missing"
		}
		for _, c := range conditions {
			if !c.holds(fields, resolve) {
				return fmt.Sprintf("%s of %s does not hold, it is %q", c, key, fields.named(c.field))
			}
		}
	}
	for key := range e.Upserted {
		if _, named := p.instances[key]; !named {
			return "+" + key + " was not expected"
		}
	}
	for key, reason := range p.removed {
		if got, found := e.Removed[key]; !found || reason != "" && !slices.Contains(strings.Split(reason, "|"), got) {
			return fmt.Sprintf("-%s:%s is missing", key, reason)
		}
	}
	for key, reason := range e.Removed {
		// A state remembers all that ever left.
		if _, named := p.removed[key]; !named && p.kind != "" {
			return fmt.Sprintf("-%s:%s was not expected", key, reason)
		}
	}
	return ""
}

func (f Fields) named(field string) string {
	if value, found := f[field]; found {
		return value
	}
	return f[about+field]
}
