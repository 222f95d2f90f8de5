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
			Name    string
			Entries []struct {
				Kind               byte
				Namespace, Service string
				InstanceID         string `json:"instance_id"`
				ModifyRevision     string `json:"modify_revision"`
				Tag, Hash          string
			}
			Digest string
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
			for _, e := range c.Entries {
				n := record.InstanceName{ServiceName: record.ServiceName{Namespace: e.Namespace, Service: e.Service}, ID: e.InstanceID}
				h := entryHash(e.Kind, n, number(e.ModifyRevision), number(e.Tag))
				if h != number(e.Hash) {
					t.Errorf("%v: hash %d, want %s", n, h, e.Hash)
				}
				sum += h
			}
			if sum != number(c.Digest) {
				t.Errorf("digest %d, want %s", sum, c.Digest)
			}
		})
	}
}
