package main

import (
	"encoding/hex"
	"encoding/json"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// viewNumber is the view id of all frames here.
const viewNumber = 0x1122334455667788

type frameVectors struct {
	About  string               `json:"about"`
	Starts map[string]frameOnly `json:"starts"`
	Cases  []frameCase          `json:"cases"`
}

// frameOnly is a WatchResponse, for people as protobuf JSON and for programs
// as the hex of its encoding.
type frameOnly struct {
	Frame json.RawMessage `json:"frame"`
	Wire  string          `json:"wire"`
}

// frameCase is one view on one client: what it holds at first, and what
// happens to it.
type frameCase struct {
	Name string `json:"name"`
	// Start names one of Starts: a snapshot that was applied before, on a
	// stream of its own; the present stream was opened with it as resume
	// position. Empty: nothing is held, and the stream was opened without.
	Start string      `json:"start"`
	Steps []frameStep `json:"steps"`
}

// frameStep is a frame, or a new stream (reopen: RESUME or FRESH).
type frameStep struct {
	NowMs   int64           `json:"now_ms,omitempty"`
	Reopen  string          `json:"reopen,omitempty"`
	Frame   json.RawMessage `json:"frame,omitempty"`
	Wire    string          `json:"wire,omitempty"`
	Outcome string          `json:"outcome,omitempty"`
	Detail  string          `json:"detail,omitempty"`
	// View is there for APPLIED; all other outcomes leave the view as it was.
	View    *frameView        `json:"view,omitempty"`
	Removed map[string]string `json:"removed,omitempty"`
}

// frameView is what the client holds after a step: keys with their
// modify_revision.
type frameView struct {
	Epoch       string            `json:"epoch"`
	Revision    string            `json:"revision"`
	Digest      string            `json:"digest"`
	Count       string            `json:"count"`
	Instances   map[string]string `json:"instances"`
	Services    map[string]string `json:"services"`
	Unconfirmed []string          `json:"unconfirmed,omitempty"`
	Unverified  bool              `json:"unverified,omitempty"`
}

// set is what a view holds at one place in history.
type set struct {
	epoch, revision uint64
	instances       []*musterv1.Instance
	services        []*musterv1.ServiceState
}

// at makes a set of instances and service states.
func at(epoch, revision uint64, entries ...proto.Message) set {
	s := set{epoch: epoch, revision: revision}
	for _, e := range entries {
		switch e := e.(type) {
		case *musterv1.Instance:
			s.instances = append(s.instances, e)
		case *musterv1.ServiceState:
			s.services = append(s.services, e)
		}
	}
	return s
}

// pod is an instance of shop/pay; its tag follows from its revision.
func pod(id string, revision uint64) *musterv1.Instance {
	return &musterv1.Instance{Namespace: "shop", Service: "pay", InstanceId: id, ModifyRevision: revision, Tag: 1000 + revision}
}

// state is the state of shop/pay.
func state(revision uint64) *musterv1.ServiceState {
	return &musterv1.ServiceState{Namespace: "shop", Service: "pay", ModifyRevision: revision, Tag: 2000 + revision}
}

func (s set) digest() (sum, count uint64) {
	for _, i := range s.instances {
		sum += xxh64(encodeEntry(kindInstance, i.GetNamespace(), i.GetService(), i.GetInstanceId(), i.GetModifyRevision(), i.GetTag()))
	}
	for _, t := range s.services {
		sum += xxh64(encodeEntry(kindService, t.GetNamespace(), t.GetService(), "", t.GetModifyRevision(), t.GetTag()))
	}
	return sum, uint64(len(s.instances) + len(s.services))
}

func (s set) header(flags ...musterv1.ViewFlag) *musterv1.ViewHeader {
	sum, count := s.digest()
	return &musterv1.ViewHeader{ViewId: viewNumber, Epoch: s.epoch, Revision: s.revision, Digest: sum, Count: count, Flags: flags}
}

// view is the set as a client must hold it, besides what is unconfirmed.
func (s set) view(unconfirmed ...string) *frameView {
	sum, count := s.digest()
	v := &frameView{
		Epoch: decimal(s.epoch), Revision: decimal(s.revision), Digest: decimal(sum), Count: decimal(count),
		Instances: map[string]string{}, Services: map[string]string{}, Unconfirmed: unconfirmed,
	}
	for _, i := range s.instances {
		v.Instances[keyText(i.GetInstanceId())] = decimal(i.GetModifyRevision())
	}
	for _, t := range s.services {
		v.Services["shop/pay"] = decimal(t.GetModifyRevision())
	}
	return v
}

func keyText(id string) string { return "shop/pay/" + id }

// frame makes a frame of its message.
func frame(m *musterv1.WatchResponse) frameOnly {
	text, err := protojson.Marshal(m)
	if err != nil {
		panic(err) // the message is made here
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return frameOnly{squeeze(text), hexOf(wire)}
}

// mustUnmarshal reads a frame's wire form back.
func mustUnmarshal(wire string, m *musterv1.WatchResponse) {
	b, err := hex.DecodeString(wire)
	if err == nil {
		err = proto.Unmarshal(b, m)
	}
	if err != nil {
		panic(err) // made here
	}
}

func chunk(index uint32, final bool) *musterv1.Chunk {
	position := musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL
	if final {
		position = musterv1.ChunkPosition_CHUNK_POSITION_FINAL
	}
	return &musterv1.Chunk{Index: index, Position: position}
}

var whole = chunk(0, true)

func snapshot(h *musterv1.ViewHeader, c *musterv1.Chunk, cause musterv1.SnapshotCause, content set, removed ...*musterv1.Removal) frameOnly {
	return frame(&musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Snapshot{Snapshot: &musterv1.Snapshot{
		Header: h, Chunk: c, Cause: cause, Instances: content.instances, Services: content.services, Removed: removed,
	}}})
}

func delta(h *musterv1.ViewHeader, c *musterv1.Chunk, from uint64, content set, removals ...*musterv1.Removal) frameOnly {
	return frame(&musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Delta{Delta: &musterv1.Delta{
		Header: h, Chunk: c, FromRevision: from, Instances: content.instances, Services: content.services, Removals: removals,
	}}})
}

func progress(h *musterv1.ViewHeader) frameOnly {
	return frame(&musterv1.WatchResponse{Frame: &musterv1.WatchResponse_Progress{Progress: &musterv1.Progress{Header: h}}})
}

func gone(id string, reason musterv1.RemovalReason) *musterv1.Removal {
	return &musterv1.Removal{
		Kind: musterv1.EntryKind_ENTRY_KIND_INSTANCE, Reason: reason,
		Key: &musterv1.InstanceKey{Namespace: "shop", Service: "pay", InstanceId: id},
	}
}

func stateGone() *musterv1.Removal {
	return &musterv1.Removal{
		Kind: musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE, Reason: musterv1.RemovalReason_REMOVAL_REASON_UNKNOWN,
		Key: &musterv1.InstanceKey{Namespace: "shop", Service: "pay"},
	}
}

// The outcomes of a step.

func staged(f frameOnly) frameStep {
	return frameStep{Frame: f.Frame, Wire: f.Wire, Outcome: "STAGED"}
}

func applied(f frameOnly, v *frameView, removed ...map[string]string) frameStep {
	step := frameStep{Frame: f.Frame, Wire: f.Wire, Outcome: "APPLIED", View: v}
	for _, r := range removed {
		step.Removed = r
	}
	return step
}

// broken leaves the view as it was.
func broken(outcome, detail string, f frameOnly) frameStep {
	return frameStep{Frame: f.Frame, Wire: f.Wire, Outcome: outcome, Detail: detail}
}

// removed names instances by id, each followed by its reason.
func removed(idsAndReasons ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(idsAndReasons); i += 2 {
		m[keyText(idsAndReasons[i])] = idsAndReasons[i+1]
	}
	return m
}

func reopen(how string) frameStep { return frameStep{Reopen: how} }

func framesFile() frameVectors {
	return frameVectors{
		About: "What a client holds after each step. Outcomes: STAGED, APPLIED, and three that end the stream and leave the view as it was: " +
			"GAP and VIOLATION (reopen with the own position), MISMATCH (reopen without). See docs/protocol.md, section 2, and README.md.",
		Starts: map[string]frameOnly{
			"held": snapshot(held.header(), whole, first, held),
			"old":  snapshot(old.header(), whole, first, old),
		},
		Cases: slices.Concat(snapshotCases(), deltaCases(), chunkCases(), progressCases(), recoveryCases(), mismatchCases()),
	}
}
