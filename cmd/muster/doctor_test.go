package main

import (
	"strings"
	"testing"
)

// TestFindings compares servers that do not fit together.
func TestFindings(t *testing.T) {
	got := strings.Join(findingsOf([]examined{
		{address: "a:1", version: "1.0.0", cluster: "one"},
		{address: "b:1", version: "1.0.0", cluster: "one"},
		{address: "c:1", version: "1.1.0", cluster: "two"},
		{address: "d:1", cause: "first record does not look like a TLS handshake"},
	}), "\n")
	for _, want := range []string{"c:1 is of cluster two, but a:1 is of cluster one", "c:1 runs version 1.1.0", "d:1 does not answer", "speaks TLS and the other plaintext"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "b:1") {
		t.Errorf("b:1 is as a:1, but:\n%s", got)
	}
}
