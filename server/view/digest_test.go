package view

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/muster-registry/muster/server/record"
)

// TestDigestVectors runs conformance/vectors/digest.json (M3.1a, M3.2a).
func TestDigestVectors(t *testing.T) {
	raw, err := os.ReadFile("../../conformance/vectors/digest.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			Name  string
			Input struct {
				Entries []struct {
					Kind               byte
					Namespace, Service string
					InstanceID         string `json:"instance_id"`
					ModifyRevision     string `json:"modify_revision"`
					Tag                string
				}
			}
			Output struct {
				Hashes []string
				Digest string
			}
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("no cases")
	}
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var sum uint64
			for i, e := range c.Input.Entries {
				n := record.InstanceName{ServiceName: record.ServiceName{Namespace: e.Namespace, Service: e.Service}, ID: e.InstanceID}
				h := entryHash(e.Kind, n, number(e.ModifyRevision), number(e.Tag))
				if want := c.Output.Hashes[i]; h != number(want) {
					t.Errorf("%v: hash %d, want %s", n, h, want)
				}
				sum += h
			}
			if sum != number(c.Output.Digest) {
				t.Errorf("digest %d, want %s", sum, c.Output.Digest)
			}
		})
	}
}
