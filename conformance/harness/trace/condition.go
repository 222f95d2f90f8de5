package trace

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// condition is one demand on one field: name=value, name!=value, name~regexp,
// name<number or name>number.
type condition struct {
	field, operator, value string
	expression             *regexp.Regexp
}

var conditionForm = regexp.MustCompile(`^([a-z][a-zA-Z0-9_.-]*)(!=|=|~|<|>)((?s).*)$`)

// isCondition tells whether a word has the form of a condition.
func isCondition(word string) bool { return conditionForm.MatchString(word) }

func parseCondition(word string) (condition, error) {
	m := conditionForm.FindStringSubmatch(word)
	if m == nil {
		return condition{}, fmt.Errorf("%q is no condition: want name=value, name!=value, name~regexp, name<number or name>number", word)
	}
	c := condition{field: m[1], operator: m[2], value: m[3]}
	var err error
	switch c.operator {
	case "~":
		if c.expression, err = regexp.Compile(c.value); err != nil {
			return c, fmt.Errorf("%q: %w", word, err)
		}
	case "<", ">":
		if _, err = strconv.ParseInt(c.value, 10, 64); err != nil {
			return c, fmt.Errorf("%q compares with a whole number: %w", word, err)
		}
	}
	return c, nil
}

// holds tells whether the fields fulfil the condition. A field may be named
// without the "about." that it lies under. resolve gives names their values,
// such as $server.
func (c condition) holds(f Fields, resolve func(string) string) bool {
	got, found := f[c.field]
	if !found {
		got = f[about+c.field]
	}
	want := resolve(c.value)
	switch c.operator {
	case "=":
		return got == want || got == "" && (want == "0" || want == "no" || want == "none")
	case "!=":
		return got != want
	case "~":
		return c.expression.MatchString(got)
	}
	if got == "" {
		got = "0"
	}
	number, err := strconv.ParseInt(got, 10, 64)
	limit, _ := strconv.ParseInt(want, 10, 64)
	return err == nil && (c.operator == "<" && number < limit || c.operator == ">" && number > limit)
}

func (c condition) String() string { return c.field + c.operator + quoted(c.value) }

// parseInstance reads KEY{condition,condition}.
func parseInstance(word string) (key string, list []condition, err error) {
	key, inner, braced := strings.Cut(word, "{")
	if !braced {
		return key, nil, nil
	}
	inner, closed := strings.CutSuffix(inner, "}")
	if !closed {
		return key, nil, fmt.Errorf("%q: the brace is not closed; no spaces are allowed within", word)
	}
	for _, part := range strings.Split(inner, ",") {
		c, err := parseCondition(part)
		if err != nil {
			return key, nil, err
		}
		list = append(list, c)
	}
	return key, list, nil
}

// Demands are conditions on one instance.
type Demands []condition

// ParseInstance reads KEY{condition,condition}.
func ParseInstance(word string) (key string, demands Demands, err error) {
	key, list, err := parseInstance(word)
	return key, list, err
}

// Mismatch names the first condition that does not hold, empty if all do.
func (d Demands) Mismatch(f Fields, resolve func(string) string) string {
	for _, c := range d {
		if !c.holds(f, resolve) {
			return fmt.Sprintf("%s does not hold, it is %q", c, f.named(c.field))
		}
	}
	return ""
}
