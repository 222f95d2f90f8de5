package muster

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

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
			facts := serviceFacts{forbidden: c.Forbidden, present: c.Instances > 0, recovering: c.Recovering}
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

// frameStep is one step of a case of frames.json.
type frameStep struct {
	Reopen  string
	Frame   json.RawMessage
	Wire    string
	Now     int64 `json:"now_ms"`
	Outcome string
	View    *frameView
	Removed map[string]string
}

// frameView is what a client holds.
type frameView struct {
	Epoch, Revision, Digest, Count string
	Instances, Services            map[string]string
	Unconfirmed                    []string
	Unverified                     bool
}

func TestVectorsFrames(t *testing.T) {
	var file struct {
		Starts map[string]frameStep
		Cases  []struct {
			Name  string
			Start string
			Steps []frameStep
		}
	}
	readVectors(t, "frames.json", &file)
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var f frameState
			f.beginStream(false)
			if c.Start != "" {
				if outcome, _ := applyStep(t, &f, file.Starts[c.Start]); outcome != "APPLIED" {
					t.Fatalf("the start is %s", outcome)
				}
				f.beginStream(f.known() != nil)
			}
			for n, step := range c.Steps {
				checkStep(t, &f, n, step)
			}
		})
	}
}

func checkStep(t *testing.T, f *frameState, n int, step frameStep) {
	t.Helper()
	if step.Reopen != "" {
		f.beginStream(step.Reopen == "RESUME" && f.known() != nil)
		return
	}
	before := held(f)
	outcome, gone := applyStep(t, f, step)
	if outcome == "MISMATCH" {
		f.distrust()
	}
	if outcome != step.Outcome {
		t.Fatalf("step %d: %s, want %s", n, outcome, step.Outcome)
	}
	want := before
	if outcome == "APPLIED" {
		want = *step.View
	}
	if diff := cmp.Diff(want, held(f)); diff != "" {
		t.Errorf("step %d: view (-want +got):\n%s", n, diff)
	}
	if step.Removed != nil {
		if diff := cmp.Diff(step.Removed, gone); diff != "" {
			t.Errorf("step %d: removed (-want +got):\n%s", n, diff)
		}
	}
}

// applyStep applies a frame and names the outcome and what left.
func applyStep(t *testing.T, f *frameState, step frameStep) (outcome string, gone map[string]string) {
	t.Helper()
	wire, err := hex.DecodeString(step.Wire)
	if err != nil {
		t.Fatal(err)
	}
	var frame musterv1.WatchResponse
	if err := proto.Unmarshal(wire, &frame); err != nil {
		t.Fatal(err)
	}
	done, broken := applyFrame(f, &frame, step.Now)
	switch {
	case broken != nil:
		return map[fault]string{faultGap: "GAP", faultViolation: "VIOLATION", faultMismatch: "MISMATCH"}[broken.fault], nil
	case done.staged:
		return "STAGED", nil
	}
	gone = map[string]string{}
	for _, g := range done.gone {
		gone[g.Key.String()] = g.Reason.String()
	}
	return "APPLIED", gone
}

func applyFrame(f *frameState, frame *musterv1.WatchResponse, nowMs int64) (applied, *frameError) {
	switch frame := frame.GetFrame().(type) {
	case *musterv1.WatchResponse_Snapshot:
		return f.snapshot(frame.Snapshot, nil, nowMs)
	case *musterv1.WatchResponse_Delta:
		return f.delta(frame.Delta, nil, nowMs)
	default:
		return f.progress(frame.(*musterv1.WatchResponse_Progress).Progress)
	}
}

// held is what a frameState holds, in the form of the vectors.
func held(f *frameState) frameView {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	v := frameView{
		Epoch: number(f.position.Epoch), Revision: number(f.position.Revision),
		Digest: number(f.set.digest), Count: number(f.set.count()),
		Instances: map[string]string{}, Services: map[string]string{}, Unverified: f.unverified,
	}
	for _, i := range f.set.instances {
		v.Instances[i.Key.String()] = number(i.ModifyRevision)
	}
	for _, s := range f.set.services {
		v.Services[s.ServiceName.String()] = number(s.ModifyRevision)
	}
	for _, i := range f.unconfirmed {
		v.Unconfirmed = append(v.Unconfirmed, i.Key.String())
	}
	return v
}
