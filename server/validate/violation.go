package validate

import (
	"fmt"
	"strconv"
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

const (
	// MaxViolations bounds the violations that one error lists; more are only
	// counted. Status details travel in HTTP/2 trailers, which many clients
	// bound to 16 KiB.
	MaxViolations = 20
	// MaxValueBytes bounds the part of a value that a violation repeats.
	MaxValueBytes = 64
)

// Violation is one thing that is wrong with a request.
type Violation struct {
	// Field is the path of the field, such as "instances[0].endpoints[1].address".
	Field string
	// Value is what was found there, shortened; empty if it is a secret, or if
	// Problem says it better.
	Value string
	// Problem says what is allowed, or what to do.
	Problem string
	// Reason is INVALID_ARGUMENT, INVALID_ENDPOINT, LIMIT_EXCEEDED or
	// FEATURE_NOT_SERVED.
	Reason musterv1.ErrorReason
	// Limit names the field of Limits for LIMIT_EXCEEDED; Maximum is what it
	// allows and Actual what was found.
	Limit           string
	Maximum, Actual int
	// Feature names the feature for FEATURE_NOT_SERVED.
	Feature string
}

// String writes field, value and problem.
func (v Violation) String() string {
	if v.Value == "" {
		return v.Field + ": " + v.Problem
	}
	return fmt.Sprintf("%s: %q %s", v.Field, v.Value, v.Problem)
}

// Error is what is wrong with a request: at least one violation.
type Error struct {
	// Violations are in the order of the request's fields.
	Violations []Violation
	// Omitted counts those beyond [MaxViolations].
	Omitted int
}

// Error writes all violations in one line.
func (e *Error) Error() string {
	texts := make([]string, 0, len(e.Violations))
	for _, v := range e.Violations {
		texts = append(texts, v.String())
	}
	text := "request is invalid: " + strings.Join(texts, "; ")
	if e.Omitted > 0 {
		text += fmt.Sprintf("; and %d more", e.Omitted)
	}
	return text
}

// Reason is the reason of the whole error. If violations have several, the
// one that is first in the contract goes: what the caller must mend comes
// before what only this server cannot do.
func (e *Error) Reason() musterv1.ErrorReason { return e.first().Reason }

// Metadata is that of ErrorInfo for Reason: "limit", "maximum" and "value" for
// LIMIT_EXCEEDED, "feature" for FEATURE_NOT_SERVED, otherwise nil.
func (e *Error) Metadata() map[string]string {
	switch v := e.first(); v.Reason {
	case musterv1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED:
		return map[string]string{"limit": v.Limit, "maximum": strconv.Itoa(v.Maximum), "value": strconv.Itoa(v.Actual)}
	case musterv1.ErrorReason_ERROR_REASON_FEATURE_NOT_SERVED:
		return map[string]string{"feature": v.Feature}
	}
	return nil
}

func (e *Error) first() Violation {
	first := e.Violations[0]
	for _, v := range e.Violations {
		if v.Reason < first.Reason {
			first = v
		}
	}
	return first
}
