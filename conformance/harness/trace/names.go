package trace

import (
	"regexp"
	"slices"
	"strings"
)

// Names gives what differs from run to run the same name in every run: the
// addresses of a stage by their names, and in texts for people times and
// numbers.
type Names struct {
	known [][2]string // value, name; longest value first
}

// Know adds a value and its name, such as 127.0.0.1:20417 and $server.
func (n *Names) Know(value, name string) {
	n.known = append(n.known, [2]string{value, name})
	slices.SortStableFunc(n.known, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
}

// Resolve puts values in place of names.
func (n *Names) Resolve(text string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	// The longest name first: $server2 before $server.
	byName := slices.Clone(n.known)
	slices.SortStableFunc(byName, func(a, b [2]string) int { return len(b[1]) - len(a[1]) })
	for _, k := range byName {
		text = strings.ReplaceAll(text, k[1], k[0])
	}
	return text
}

var (
	timeForm    = regexp.MustCompile(`\b\d+(\.\d+)?(ns|µs|us|ms|s|m|h)(\d+(\.\d+)?(s|m|ms))*\b`)
	portForm    = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):\d+`)
	secretForm  = regexp.MustCompile(`\blease [0-9A-Za-z]{4}\b`)
	numberForm  = regexp.MustCompile(`\b\d{3,}\b`)
	attemptForm = regexp.MustCompile(`\b\d+ attempts?\b`)
	camelForm   = regexp.MustCompile(`\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b`)
	humpForm    = regexp.MustCompile(`([a-z])([A-Z])`)
	agoForm     = regexp.MustCompile(`( [0-9.]+(ns|µs|ms|s|m|h)[0-9a-z.]*)? ago\b`)
	placeForm   = regexp.MustCompile(`\b(epoch|revision|incarnation) \d+`)
)

// Text gives a text for people its form that is equal in every run.
func (n *Names) Text(text string) string {
	text = camelForm.ReplaceAllStringFunc(n.value(text), snake)
	// When something was may be unknown, and is not said then.
	text = agoForm.ReplaceAllString(text, "")
	text = secretForm.ReplaceAllString(text, "lease {id}")
	text = attemptForm.ReplaceAllString(text, "{n} attempts")
	text = placeForm.ReplaceAllString(text, "$1 {n}")
	text = timeForm.ReplaceAllString(text, "{time}")
	// Names of options differ in case, such as TLS and tls.
	return strings.ToLower(numberForm.ReplaceAllString(text, "{n}"))
}

func (n *Names) value(text string) string {
	for _, k := range n.known {
		text = strings.ReplaceAll(text, k[0], k[1])
	}
	return portForm.ReplaceAllString(text, "loopback:{port}")
}

// snake writes AdvertiseFrom as advertise_from: names of the API differ only in
// that.
func snake(name string) string {
	return strings.ToLower(humpForm.ReplaceAllString(name, "${1}_$2"))
}

// Canonical writes an event as it is compared between languages; with text,
// also what it says to people.
func (n *Names) Canonical(e Event, text bool) string {
	c := Event{Channel: e.Channel, Kind: e.Kind, Removed: e.Removed, Fields: Fields{}, Upserted: map[string]Fields{}}
	for name, value := range e.Fields {
		c.Fields[name] = n.value(value)
	}
	for key, fields := range e.Upserted {
		named := Fields{}
		for name, value := range fields {
			named[name] = n.value(value)
		}
		c.Upserted[key] = named
	}
	if text && e.Fields["about.text"] != "" {
		c.Fields["text"] = n.Text(e.Fields["about.text"])
	}
	return c.String()
}
