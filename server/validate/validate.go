// Package validate checks requests against the contract and the server's
// limits, and says everything that is wrong with one at once.
//
// It is the only place where a request's form is judged: handlers call one
// method per request and may then rely on it. Whatever needs the registry's
// state (does the lease exist, is the service known) is not decided here.
//
// Everything is pure: no clock, no I/O, no state. A [Validator] is immutable
// and may be used from several goroutines. Accepting a typical instance takes
// about a microsecond and allocates twice at most; only refusals cost more.
package validate

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Validator checks requests for one server.
type Validator struct {
	limits Limits
	served map[string]bool
}

// New makes a validator for a server with these limits that serves these
// features (names of the Feature constants; unknown ones mean nothing).
// Requests that need another feature are refused with FEATURE_NOT_SERVED.
func New(limits Limits, features ...string) *Validator {
	served := make(map[string]bool, len(features))
	for _, f := range features {
		served[f] = true
	}
	return &Validator{limits: limits, served: served}
}

// Limits are the limits that it was made with.
func (v *Validator) Limits() Limits { return v.limits }

// Serves tells whether a feature is among those that it was made with.
func (v *Validator) Serves(feature string) bool { return v.served[feature] }

// Features lists those features, sorted.
func (v *Validator) Features() []string {
	names := make([]string, 0, len(v.served))
	for name := range v.served {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// path is where in a request the check is. It is a linked list on the stack,
// so that a path costs nothing until there is something to report.
type path struct {
	parent *path
	name   string
	index  int // of an element; below 0 for a plain field
}

func field(parent *path, name string) path          { return path{parent, name, -1} }
func element(parent *path, name string, i int) path { return path{parent, name, i} }

// String copies everything, so that the compiler can keep paths on the stack.
func (p *path) String() string { return string(p.appendTo(nil)) }

func (p *path) appendTo(text []byte) []byte {
	if p == nil {
		return text
	}
	text = p.parent.appendTo(text)
	if len(text) > 0 && p.name != "" {
		text = append(text, '.')
	}
	text = append(text, p.name...)
	if p.index >= 0 {
		text = append(text, '[')
		text = strconv.AppendInt(text, int64(p.index), 10)
		text = append(text, ']')
	}
	return text
}

// report collects violations.
type report struct {
	violations []Violation
	omitted    int
}

func (r *report) add(v Violation) {
	if len(r.violations) >= MaxViolations {
		r.omitted++
		return
	}
	if v.Field == "" { // only when one message is judged by itself
		v.Field = "instance"
	}
	v.Value = shown(v.Value)
	r.violations = append(r.violations, v)
}

// refuse adds a plain violation: INVALID_ARGUMENT.
func (r *report) refuse(at *path, name, value, problem string) {
	f := field(at, name)
	r.add(Violation{
		Field: f.String(), Value: value, Problem: problem,
		Reason: musterv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
	})
}

// exceed adds a violation of one of the server's limits.
func (r *report) exceed(at *path, name, limit string, maximum, actual int) {
	f := field(at, name)
	r.add(Violation{
		Field: f.String(), Value: strconv.Itoa(actual),
		Problem: "is above this server's limit " + limit + ", which is " + strconv.Itoa(maximum),
		Reason:  musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
		Limit:   limit, Maximum: maximum, Actual: actual,
	})
}

// notServed adds the use of a feature that this server does not serve.
func (r *report) notServed(at *path, name, feature string) {
	f := field(at, name)
	r.add(Violation{
		Field:   f.String(),
		Problem: "needs the feature " + feature + ", which this server does not serve; leave it out, or ask a server that serves it",
		Reason:  musterv1.ErrorReason_ERROR_REASON_FEATURE_NOT_SERVED,
		Feature: feature,
	})
}

// err is nil if there is nothing to report.
func (r *report) err() error {
	if len(r.violations) == 0 {
		return nil
	}
	return &Error{Violations: r.violations, Omitted: r.omitted}
}

// shown shortens a value for an error text and keeps it valid UTF-8.
func shown(value string) string {
	value = strings.ToValidUTF8(value, "\uFFFD")
	if len(value) <= MaxValueBytes {
		return value
	}
	cut := MaxValueBytes
	for !utf8.RuneStart(value[cut]) {
		cut--
	}
	return value[:cut] + "..."
}
