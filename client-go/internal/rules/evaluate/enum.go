package evaluate

import (
	"fmt"
	"slices"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

// enum is a value that JSON carries by its name. N lists the names, by number.
type enum[T ~uint8 | ~uint32, N interface{ names() []string }] struct{ value T }

// MarshalText implements encoding.TextMarshaler.
func (e enum[T, N]) MarshalText() ([]byte, error) {
	var n N
	return []byte(n.names()[e.value]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *enum[T, N]) UnmarshalText(text []byte) error {
	var n N
	i := slices.Index(n.names(), string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of %q", text, n.names())
	}
	e.value = T(i) //nolint:gosec // an index of a short list
	return nil
}

type codeNames struct{}

type code = enum[rules.Code, codeNames]

func (codeNames) names() []string {
	return []string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
		"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
}
