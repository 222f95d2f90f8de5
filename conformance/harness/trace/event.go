// Package trace holds what testees print: events of channels and answers to
// commands, as fields that can be matched with patterns, and compared between
// languages after everything that differs from run to run was given a name.
package trace

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Fields are the values of one JSON object by dotted path. Empty strings,
// zeros and false are left out, so that leaving out a value and saying that it
// is empty mean the same.
type Fields map[string]string

// Event is one line of a testee: an event of a channel, or an answer.
type Event struct {
	// Channel of an event; empty for an answer.
	Channel string
	// Kind is that of an event, or "ok" or "error".
	Kind string
	// Fields are what is said, without what follows.
	Fields Fields
	// Upserted are the instances that an event brings or an answer lists, by
	// key.
	Upserted map[string]Fields
	// Removed are the reasons of instances that left, by key.
	Removed map[string]string
}

// line is the form in which testees write.
type line struct {
	ID        uint64           `json:"id"`
	On        string           `json:"on"`
	Event     string           `json:"event"`
	OK        map[string]any   `json:"ok"`
	Error     map[string]any   `json:"error"`
	Upserted  []map[string]any `json:"upserted"`
	Instances []map[string]any `json:"instances"`
	Removed   []struct {
		Key    string `json:"key"`
		Reason string `json:"reason"`
	} `json:"removed"`
}

// Parse reads one line of a testee. The id is that of the command which it
// answers, 0 for an event.
func Parse(text []byte) (id uint64, e Event, err error) {
	var l line
	if err = json.Unmarshal(text, &l); err != nil {
		return 0, e, fmt.Errorf("a line of the testee is no JSON object of the known form: %w: %s", err, text)
	}
	rest := map[string]any{}
	switch {
	case l.On != "" && l.Event != "":
		e.Channel, e.Kind = l.On, l.Event
		if err = json.Unmarshal(text, &rest); err != nil {
			return 0, e, fmt.Errorf("an event: %w", err)
		}
	case l.Error != nil:
		e.Kind, rest = "error", l.Error
	case l.OK != nil:
		e.Kind, rest = "ok", l.OK
	default:
		return 0, e, fmt.Errorf(`a line of the testee is neither {"id","ok"}, {"id","error"} nor {"on","event"}: %s`, text)
	}
	if e.Upserted, err = instances(l.Upserted, l.Instances, rest["instances"]); err != nil {
		return 0, e, err
	}
	e.Removed = map[string]string{}
	for _, r := range l.Removed {
		e.Removed[r.Key] = r.Reason
	}
	for _, known := range []string{"on", "event", "upserted", "removed", "instances"} {
		delete(rest, known)
	}
	e.Fields = Fields{}
	e.Fields.add("", rest)
	return l.ID, e, nil
}

// instances joins the lists under which a line may hold instances.
func instances(upserted, listed []map[string]any, inAnswer any) (map[string]Fields, error) {
	all := slices.Concat(upserted, listed)
	if list, is := inAnswer.([]any); is && listed == nil {
		for _, i := range list {
			if object, is := i.(map[string]any); is {
				all = append(all, object)
			}
		}
	}
	byKey := map[string]Fields{}
	for _, object := range all {
		key, _ := object["key"].(string)
		if _, twice := byKey[key]; key == "" || twice {
			return nil, fmt.Errorf("instance %q stands twice in one event, or has no key", key)
		}
		delete(object, "key")
		fields := Fields{}
		fields.add("", object)
		byKey[key] = fields
	}
	return byKey, nil
}

func (f Fields) add(path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			f.add(join(path, key), inner)
		}
	case []any:
		for i, inner := range v {
			f.add(join(path, strconv.Itoa(i)), inner)
		}
	case string:
		if v != "" {
			f[path] = v
		}
	case bool:
		if v {
			f[path] = "yes"
		}
	case float64:
		if v != 0 {
			f[path] = strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// about is the prefix of fields that are never compared: they differ from run
// to run.
const about = "about."

// compared tells whether a field is compared between languages.
func compared(name string) bool {
	return !strings.HasPrefix(name, about) && !strings.Contains(name, "."+about)
}

// String writes the event in one line, sorted, without what is never compared.
func (e Event) String() string {
	parts := []string{e.Kind}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		if compared(name) {
			parts = append(parts, name+"="+quoted(e.Fields[name]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Upserted)) {
		parts = append(parts, "+"+key+e.Upserted[key].braces())
	}
	for _, key := range slices.Sorted(maps.Keys(e.Removed)) {
		parts = append(parts, "-"+key+":"+e.Removed[key])
	}
	return strings.Join(parts, " ")
}

func (f Fields) braces() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if compared(name) {
			parts = append(parts, name+"="+quoted(f[name]))
		}
	}
	if parts == nil {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quoted(value string) string {
	if strings.ContainsAny(value, " \",{}\n") {
		return strconv.Quote(value)
	}
	return value
}
