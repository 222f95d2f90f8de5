package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestErrorsEqualTheirPage compares the tables of docs/errors.md with Rows, so
// that the page cannot drift.
func TestErrorsEqualTheirPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "errors.md"))
	if err != nil {
		t.Skip("docs/errors.md is not here; this is the module alone")
	}
	var want, got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| (\\w+) \\|").FindAllStringSubmatch(string(page), -1) {
		want = append(want, strings.Join(row[1:], " "))
	}
	for _, row := range Rows {
		got = append(got, row.Reason+" "+codeWords[row.Code]+" "+classWords[row.Class])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/errors.md and Rows differ (-page +rows):\n%s", diff)
	}
}

var classWords = []string{"no", "yes", "elsewhere", "changed", "final"}

var codeWords = map[Code]string{
	CodeCancelled: "CANCELLED", CodeInvalidArgument: "INVALID_ARGUMENT", CodeDeadlineExceeded: "DEADLINE_EXCEEDED",
	CodeNotFound: "NOT_FOUND", CodeAlreadyExists: "ALREADY_EXISTS", CodePermissionDenied: "PERMISSION_DENIED",
	CodeResourceExhausted: "RESOURCE_EXHAUSTED", CodeFailedPrecondition: "FAILED_PRECONDITION", CodeAborted: "ABORTED",
	CodeOutOfRange: "OUT_OF_RANGE", CodeUnimplemented: "UNIMPLEMENTED", CodeInternal: "INTERNAL",
	CodeUnavailable: "UNAVAILABLE", CodeUnauthenticated: "UNAUTHENTICATED",
}
