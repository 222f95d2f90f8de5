package mustertest

import (
	"encoding/hex"
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
	b, err := os.ReadFile(filepath.Join("..", "..", "conformance", "vectors", name))
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

type vectorView struct {
	Epoch    uint64 `json:",string"`
	Revision uint64 `json:",string"`
	ViewID   uint64 `json:"view_id,string"`
	Digest   uint64 `json:",string"`
	Count    uint64 `json:",string"`
}

func TestVectorsResume(t *testing.T) {
	var file struct {
		Cases []struct {
			Name   string
			Server struct {
				vectorView
				LogsFrom   uint64 `json:"logs_from,string"`
				LastChange uint64 `json:"last_change,string"`
				Probe      string
			}
			Resume   *vectorView
			Decision struct{ Frame, Cause, Error string }
		}
	}
	readVectors(t, "resume.json", &file)
	ran := 0
	for _, c := range file.Cases {
		if c.Server.Probe == "NONE" {
			continue // one registry is always its newest
		}
		ran++
		var resume *musterv1.KnownView
		if k := c.Resume; k != nil {
			resume = &musterv1.KnownView{Epoch: k.Epoch, Revision: k.Revision, ViewId: k.ViewID, Digest: k.Digest, Count: k.Count}
		}
		got := decideResume(present{
			epoch: c.Server.Epoch, revision: c.Server.Revision, viewID: c.Server.ViewID,
			digest: c.Server.Digest, count: c.Server.Count,
			logsFrom: c.Server.LogsFrom, lastChange: c.Server.LastChange,
		}, resume)
		frame := map[kind]string{kindSnapshot: "SNAPSHOT", kindDelta: "DELTA", kindProgress: "PROGRESS"}[got.kind]
		cause := ""
		if got.kind == kindSnapshot {
			cause = got.cause.String()[len("SNAPSHOT_CAUSE_"):]
		}
		wrong := map[kind]string{kindEpochBehind: "EPOCH_BEHIND"}[got.kind]
		if d := c.Decision; frame != d.Frame || cause != d.Cause || wrong != d.Error {
			t.Errorf("%s: %s %s %s, want %+v", c.Name, frame, cause, wrong, d)
		}
	}
	if ran == 0 {
		t.Error("no cases")
	}
}

type vectorLease struct {
	LeaseID     string `json:"lease_id"`
	RequestID   string `json:"request_id"`
	Epoch       uint64 `json:",string"`
	Incarnation uint64 `json:",string"`
}

func TestVectorsRegister(t *testing.T) {
	var file struct {
		Cases []struct {
			Name    string
			Present *vectorLease
			Request struct {
				RequestID string          `json:"request_id"`
				Previous  *vectorLease    `json:"previous"`
				TakeOver  json.RawMessage `json:"take_over"`
			}
			Decision string
		}
	}
	readVectors(t, "register.json", &file)
	names := map[claim]string{
		claimCreate: "CREATE", claimRetry: "RETRY", claimReplace: "REPLACE", claimTakeOver: "TAKE_OVER",
		claimExists: "INSTANCE_EXISTS", claimFenced: "FENCED",
	}
	for _, c := range file.Cases {
		var held *lease
		if p := c.Present; p != nil {
			held = &lease{id: p.LeaseID, epoch: p.Epoch, incarnation: p.Incarnation, requestID: p.RequestID}
		}
		req := &musterv1.RegisterRequest{RequestId: c.Request.RequestID}
		if p := c.Request.Previous; p != nil {
			req.Claim = &musterv1.RegisterRequest_Previous{Previous: &musterv1.PreviousLease{
				LeaseId: p.LeaseID, Epoch: p.Epoch, Incarnation: p.Incarnation,
			}}
		}
		if c.Request.TakeOver != nil {
			over := &musterv1.TakeOver{}
			if err := protojson.Unmarshal(c.Request.TakeOver, over); err != nil {
				t.Fatal(err)
			}
			req.Claim = &musterv1.RegisterRequest_TakeOver{TakeOver: over}
		}
		if got := names[judge(held, req)]; got != c.Decision {
			t.Errorf("%s: %s, want %s", c.Name, got, c.Decision)
		}
	}
	if len(file.Cases) == 0 {
		t.Error("no cases")
	}
}

func TestVectorsViewID(t *testing.T) {
	var file struct {
		Cases []struct {
			Name        string
			Selector    json.RawMessage
			AccessClass string `json:"access_class"`
			Canonical   string
			ViewID      uint64 `json:"view_id,string"`
		}
		Refused []struct {
			Name     string
			Selector json.RawMessage
		}
	}
	readVectors(t, "view_id.json", &file)
	parse := func(text []byte) *musterv1.Selector {
		sel := &musterv1.Selector{}
		if err := protojson.Unmarshal(text, sel); err != nil {
			t.Fatal(err)
		}
		return sel
	}
	for _, c := range file.Cases {
		form, err := canonical(parse(c.Selector))
		if got := hex.EncodeToString(form); err != nil || got != c.Canonical {
			t.Errorf("%s: canonical form %s, %v, want %s", c.Name, got, err, c.Canonical)
		}
		if got := viewID(form, c.AccessClass); got != c.ViewID {
			t.Errorf("%s: view id %d, want %d", c.Name, got, c.ViewID)
		}
	}
	for _, c := range file.Refused {
		if _, err := canonical(parse(c.Selector)); reasonOf(err) != "INVALID_ARGUMENT" {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	if len(file.Cases) == 0 || len(file.Refused) == 0 {
		t.Error("no cases")
	}
}
