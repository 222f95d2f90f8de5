package hub

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

type number uint64

func (n *number) UnmarshalJSON(b []byte) error {
	var s json.Number
	if err := json.Unmarshal([]byte(strings.Trim(string(b), `"`)), &s); err != nil {
		return err
	}
	return json.Unmarshal([]byte(s), (*uint64)(n))
}

type resumeCase struct {
	Name   string
	Server struct {
		Epoch, Revision, Digest, Count number
		ViewID                         number `json:"view_id"`
		LogsFrom                       number `json:"logs_from"`
		LastChange                     number `json:"last_change"`
		Probe                          string
	}
	Resume *struct {
		Epoch, Revision, Digest, Count number
		ViewID                         number `json:"view_id"`
	}
	Decision struct {
		Frame, Cause, Error string
	}
}

// TestResumeVectors runs conformance/vectors/resume.json (M2.9a). That nobody
// could tell whether the view is current is decided before, at the edge.
func TestResumeVectors(t *testing.T) {
	raw, err := os.ReadFile("../../conformance/vectors/resume.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []resumeCase }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.Decision.Error == "VIEW_BEHIND" {
				return // server/rpc: makeCurrent
			}
			s := resumeState{
				epoch: uint64(c.Server.Epoch), revision: uint64(c.Server.Revision), viewID: uint64(c.Server.ViewID),
				digest: uint64(c.Server.Digest), count: uint64(c.Server.Count), changed: uint64(c.Server.LastChange),
			}
			var known *musterv1.KnownView
			if r := c.Resume; r != nil {
				known = &musterv1.KnownView{Epoch: uint64(r.Epoch), Revision: uint64(r.Revision), ViewId: uint64(r.ViewID), Digest: uint64(r.Digest), Count: uint64(r.Count)}
				s.reaches = r.Revision >= c.Server.LogsFrom && r.Revision <= c.Server.Revision
			}
			got := decideResume(s, known)
			frame := map[updateKind]string{snapshotUpdate: "SNAPSHOT", deltaUpdate: "DELTA", progressUpdate: "PROGRESS"}[got.kind]
			cause := strings.TrimPrefix(got.cause.String(), "SNAPSHOT_CAUSE_")
			if got.kind != snapshotUpdate {
				cause = ""
			}
			if got.epochBehind != (c.Decision.Error == "EPOCH_BEHIND") {
				t.Fatalf("decided %+v, want %+v", got, c.Decision)
			}
			if !got.epochBehind && (frame != c.Decision.Frame || cause != c.Decision.Cause) {
				t.Errorf("decided %s %s, want %+v", frame, cause, c.Decision)
			}
		})
	}
}

// TestFieldNumbers holds the numbers that frames are put together with to the
// contract.
func TestFieldNumbers(t *testing.T) {
	for _, c := range []struct {
		message proto.Message
		field   string
		number  protowire.Number
	}{
		{&musterv1.WatchResponse{}, "opened", fieldOpened},
		{&musterv1.WatchResponse{}, "snapshot", fieldSnapshot},
		{&musterv1.WatchResponse{}, "delta", fieldDelta},
		{&musterv1.WatchResponse{}, "progress", fieldProgress},
		{&musterv1.Snapshot{}, "instances", fieldInstances},
		{&musterv1.Snapshot{}, "services", fieldServices},
		{&musterv1.Delta{}, "instances", fieldInstances},
		{&musterv1.Delta{}, "services", fieldServices},
	} {
		d := c.message.ProtoReflect().Descriptor()
		if f := d.Fields().ByName(protoreflect.Name(c.field)); f == nil || f.Number() != c.number {
			t.Errorf("%s.%s: used is %d, the contract says %v", d.Name(), c.field, c.number, f)
		}
	}
}
