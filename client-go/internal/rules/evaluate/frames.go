package evaluate

import (
	"strconv"

	"github.com/muster-registry/muster/client-go/internal/rules"
)

type framesInput struct {
	Steps []frameStep `json:"steps"`
	// Explain adds to the results what a user reads of a problem, and to the
	// entries of views which step brought them.
	Explain bool `json:"explain"`
}

// frameStep is a frame, or a new stream (reopen: RESUME or FRESH).
type frameStep struct {
	Reopen string `json:"reopen"`
	NowMs  int64  `json:"now_ms"`
	// Forbidden services are "namespace/service" in two parts.
	Forbidden []serviceName `json:"forbidden"`
	Frame     frame         `json:"frame"`
}

type serviceName struct {
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
}

// frame of kind SNAPSHOT, DELTA or PROGRESS. Numbers are those of the contract.
type frame struct {
	Kind         string         `json:"kind"`
	Header       *frameHeader   `json:"header"`
	Index        uint32         `json:"index"`
	Position     int32          `json:"position"`
	Cause        int32          `json:"cause"`
	FromRevision uint64         `json:"from_revision,string"`
	Instances    []frameEntry   `json:"instances"`
	Services     []frameEntry   `json:"services"`
	Removals     []frameRemoval `json:"removals"`
}

type frameHeader struct {
	ViewID     uint64 `json:"view_id,string"`
	Epoch      uint64 `json:"epoch,string"`
	Revision   uint64 `json:"revision,string"`
	Digest     uint64 `json:"digest,string"`
	Count      uint64 `json:"count,string"`
	Recovering bool   `json:"recovering"`
}

type frameEntry struct {
	Namespace      string `json:"namespace"`
	Service        string `json:"service"`
	InstanceID     string `json:"instance_id"`
	ModifyRevision uint64 `json:"modify_revision,string"`
	Tag            uint64 `json:"tag,string"`
	unconfirmed    bool
	step           int
}

type frameRemoval struct {
	Kind       int32  `json:"kind"`
	Namespace  string `json:"namespace"`
	Service    string `json:"service"`
	InstanceID string `json:"instance_id"`
	Reason     int32  `json:"reason"`
}

type framesOutput struct {
	Steps []frameResult `json:"steps"`
}

// frameResult is what a step did. View is what is held then, if a frame was
// applied.
type frameResult struct {
	Outcome   string      `json:"outcome"`
	Problem   string      `json:"problem,omitempty"`
	Snapshot  bool        `json:"snapshot"`
	Cause     int32       `json:"cause"`
	Gone      []frameGone `json:"gone"`
	Resumable bool        `json:"resumable"`
	View      *frameView  `json:"view"`
}

type frameGone struct {
	Key    string `json:"key"`
	Reason int32  `json:"reason"`
}

// frameView lists entries as "key@modify_revision", unconfirmed ones by key; if
// asked to explain, with " of step N".
type frameView struct {
	ViewID      uint64   `json:"view_id,string"`
	Epoch       uint64   `json:"epoch,string"`
	Revision    uint64   `json:"revision,string"`
	Digest      uint64   `json:"digest,string"`
	Count       uint64   `json:"count,string"`
	Instances   []string `json:"instances"`
	Services    []string `json:"services"`
	Unconfirmed []string `json:"unconfirmed"`
	Unverified  bool     `json:"unverified"`
}

func stampOf(e *frameEntry) (modifyRevision, tag uint64) { return e.ModifyRevision, e.Tag }

var (
	frameInstances = &rules.EntryType[*frameEntry]{
		Kind: rules.KindInstance, Stamp: stampOf,
		Key: func(e *frameEntry) rules.EntryKey {
			return rules.EntryKey{Namespace: e.Namespace, Service: e.Service, ID: e.InstanceID}
		},
	}
	frameServices = &rules.EntryType[*frameEntry]{
		Kind: rules.KindServiceState, Stamp: stampOf,
		Key: func(e *frameEntry) rules.EntryKey {
			return rules.EntryKey{Namespace: e.Namespace, Service: e.Service}
		},
	}
)

func markEntry(e *frameEntry) *frameEntry {
	c := *e
	c.unconfirmed = true
	return &c
}

type frames = rules.Frames[*frameEntry, *frameEntry]

var framesRule = rule(func(in framesInput) framesOutput {
	f := rules.NewFrames(frameInstances, frameServices, markEntry)
	out := framesOutput{make([]frameResult, len(in.Steps))}
	for i := range in.Steps {
		in.Steps[i].Frame.cameWith(i)
		out.Steps[i] = frameStepResult(&f, &in.Steps[i], in.Explain)
	}
	return out
})

// cameWith notes on entries which step brings them.
func (f *frame) cameWith(step int) {
	for _, list := range [][]frameEntry{f.Instances, f.Services} {
		for i := range list {
			list[i].step = step
		}
	}
}

func frameStepResult(f *frames, s *frameStep, explain bool) frameResult {
	r := rules.FrameResult{Outcome: "REOPENED"}
	_, resumable := f.Known()
	switch {
	case s.Reopen != "":
		f.BeginStream(s.Reopen == "RESUME" && resumable)
	case s.Frame.Kind == "PROGRESS":
		r = f.Progress(s.Frame.Header.rule())
	case s.Frame.Kind == "DROP":
		f.DropStage()
	default:
		forbidden := make([]rules.EntryKey, len(s.Forbidden))
		for i, n := range s.Forbidden {
			forbidden[i] = rules.EntryKey{Namespace: n.Namespace, Service: n.Service}
		}
		r = f.Apply(s.Frame.update(), forbidden, s.NowMs)
	}
	out := frameResult{
		Outcome: string(r.Outcome), Snapshot: r.Snapshot, Cause: r.Cause, Gone: make([]frameGone, len(r.Gone)),
	}
	for i, g := range r.Gone {
		out.Gone[i] = frameGone{keyText(g.Key), g.Reason}
	}
	_, out.Resumable = f.Known()
	if explain {
		out.Problem = r.Problem
	}
	if r.Outcome == rules.FrameApplied {
		out.View = viewOf(f, explain)
	}
	return out
}

func (h *frameHeader) rule() *rules.FrameHeader {
	if h == nil {
		return nil
	}
	return &rules.FrameHeader{
		ViewID: h.ViewID, Position: rules.ViewPosition{Epoch: h.Epoch, Revision: h.Revision},
		Digest: h.Digest, Count: h.Count, Recovering: h.Recovering,
	}
}

func (f *frame) update() *rules.Update[*frameEntry, *frameEntry] {
	u := &rules.Update[*frameEntry, *frameEntry]{
		Header: f.Header.rule(), Index: f.Index, Position: f.Position, Snapshot: f.Kind == "SNAPSHOT", Cause: f.Cause,
		From: f.FromRevision, Instances: pointers(f.Instances), Services: pointers(f.Services), Removals: make([]rules.Removed, len(f.Removals)),
	}
	for i, r := range f.Removals {
		u.Removals[i] = rules.Removed{Kind: r.Kind, Key: rules.EntryKey{Namespace: r.Namespace, Service: r.Service, ID: r.InstanceID}, Reason: r.Reason}
	}
	return u
}

func pointers(entries []frameEntry) []*frameEntry {
	list := make([]*frameEntry, len(entries))
	for i := range entries {
		list[i] = &entries[i]
	}
	return list
}

func viewOf(f *frames, explain bool) *frameView {
	set, unconfirmed := f.Set(), []string{}
	for _, e := range f.Unconfirmed() {
		if e.unconfirmed {
			unconfirmed = append(unconfirmed, keyText(frameInstances.Key(e)))
		}
	}
	v := &frameView{
		ViewID: f.ViewID(), Epoch: f.Position().Epoch, Revision: f.Position().Revision, Digest: set.Digest, Count: set.Count(),
		Instances: make([]string, len(set.Instances)), Services: make([]string, len(set.Services)),
		Unconfirmed: unconfirmed, Unverified: f.Unverified(),
	}
	for i, e := range set.Instances {
		v.Instances[i] = entryText(frameInstances, e, explain)
	}
	for i, e := range set.Services {
		v.Services[i] = entryText(frameServices, e, explain)
	}
	return v
}

func keyText(k rules.EntryKey) string {
	text := k.Namespace + "/" + k.Service
	if k.ID != "" {
		text += "/" + k.ID
	}
	return text
}

func entryText(t *rules.EntryType[*frameEntry], e *frameEntry, explain bool) string {
	text := keyText(t.Key(e)) + "@" + strconv.FormatUint(e.ModifyRevision, 10)
	if explain {
		text += " of step " + strconv.Itoa(e.step)
	}
	return text
}
