package muster

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// readVectors reads a file of the conformance vectors, which are not part of
// this module.
func readVectors(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "conformance", "vectors", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the conformance vectors are not here; this is the module alone")
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestVectorsIntent(t *testing.T) {
	var file struct {
		Cases []struct {
			Name        string
			Received    bool
			Forbidden   bool
			Instances   int
			Recovering  bool
			State       json.RawMessage
			Filtered    bool
			LastRemoval string `json:"last_removal"`
			Intent      string
		}
		Overall []struct {
			Intents []string
			Overall string
		}
	}
	readVectors(t, "intent.json", &file)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			facts := serviceFacts{forbidden: c.Forbidden, present: c.Instances > 0, recovering: c.Recovering, filtered: c.Filtered}
			if string(c.State) != "null" {
				var state musterv1.ServiceState
				if err := protojson.Unmarshal(c.State, &state); err != nil {
					t.Fatal(err)
				}
				facts.state = serviceStateFrom(&state)
			}
			if c.LastRemoval != "" {
				facts.lastRemoval = RemovalReason(musterv1.RemovalReason_value["REMOVAL_REASON_"+c.LastRemoval])
			}
			got := NotYet
			if c.Received {
				got = intentOf(facts)
			}
			if got.String() != c.Intent {
				t.Errorf("intent %v, want %s", got, c.Intent)
			}
		})
	}
	byName := map[string]Intent{}
	for i, name := range intentNames {
		byName[name] = i
	}
	for _, c := range file.Overall {
		var intents []Intent
		for _, name := range c.Intents {
			intents = append(intents, byName[name])
		}
		if got := overallIntent(intents); got.String() != c.Overall {
			t.Errorf("overall of %v is %v, want %s", c.Intents, got, c.Overall)
		}
	}
}
