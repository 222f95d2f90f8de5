package main

import (
	"maps"
	"slices"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// uniform writes frames without protobuf: numbers as the contract gives them.
func (v frameVectors) uniform() uniformFile {
	file := uniformFile{v.About, "frames", nil}
	for _, c := range v.Cases {
		steps, results := []any{}, []any{}
		resumable := false
		add := func(step frameStep) {
			input, result := step.uniform(&resumable)
			steps, results = append(steps, input), append(results, result)
		}
		if c.Start != "" {
			content := map[string]set{"held": held, "old": old}[c.Start]
			add(applied(v.Starts[c.Start], content.view()))
			add(reopen("RESUME"))
		}
		for _, step := range c.Steps {
			add(step)
		}
		file.Cases = append(file.Cases, uniformCase{c.Name, map[string]any{"steps": steps}, map[string]any{"steps": results}})
	}
	return file
}

// uniform is a step and its result. resumable is whether the client may resume
// from what it holds: from an applied view that was verified, until an update
// does not match.
func (s frameStep) uniform(resumable *bool) (input, result map[string]any) {
	input, result = map[string]any{}, map[string]any{"outcome": s.Outcome, "snapshot": false, "cause": 0, "gone": []any{}, "view": nil}
	if s.Reopen != "" {
		input["reopen"], result["outcome"], result["resumable"] = s.Reopen, "REOPENED", *resumable
		return input, result
	}
	m := &musterv1.WatchResponse{}
	mustUnmarshal(s.Wire, m)
	input["frame"] = uniformFrame(m)
	if s.NowMs != 0 {
		input["now_ms"] = s.NowMs
	}
	if s.Outcome == "APPLIED" {
		*resumable = !s.View.Unverified
		result["view"] = s.View.uniform()
		result["snapshot"], result["cause"] = m.GetSnapshot() != nil, m.GetSnapshot().GetCause()
		gone := []any{}
		for _, key := range slices.Sorted(maps.Keys(s.Removed)) {
			gone = append(gone, map[string]any{"key": key, "reason": musterv1.RemovalReason_value["REMOVAL_REASON_"+s.Removed[key]]})
		}
		if m.GetSnapshot() == nil {
			result["gone"] = gone
		}
	} else if s.Outcome == "MISMATCH" {
		*resumable = false
	}
	result["resumable"] = *resumable
	return input, result
}

func uniformFrame(m *musterv1.WatchResponse) map[string]any {
	if p := m.GetProgress(); p != nil {
		return map[string]any{"kind": "PROGRESS", "header": uniformHeader(p.GetHeader())}
	}
	p := partOf(m)
	frame := map[string]any{"kind": "DELTA", "header": uniformHeader(p.header), "position": p.chunk.GetPosition()}
	if p.snapshot {
		frame["kind"], frame["cause"] = "SNAPSHOT", p.cause
	} else {
		frame["from_revision"] = decimal(p.from)
	}
	if p.chunk.GetIndex() != 0 {
		frame["index"] = p.chunk.GetIndex()
	}
	var instances, services, removals []any
	for _, i := range p.instances {
		instances = append(instances, map[string]any{
			"namespace": i.GetNamespace(), "service": i.GetService(), "instance_id": i.GetInstanceId(),
			"modify_revision": decimal(i.GetModifyRevision()), "tag": decimal(i.GetTag()),
		})
	}
	for _, t := range p.services {
		services = append(services, map[string]any{
			"namespace": t.GetNamespace(), "service": t.GetService(), "modify_revision": decimal(t.GetModifyRevision()), "tag": decimal(t.GetTag()),
		})
	}
	for _, r := range p.removals {
		k := r.GetKey()
		removals = append(removals, map[string]any{
			"kind": r.GetKind(), "namespace": k.GetNamespace(), "service": k.GetService(), "instance_id": k.GetInstanceId(), "reason": r.GetReason(),
		})
	}
	for name, list := range map[string][]any{"instances": instances, "services": services, "removals": removals} {
		if len(list) > 0 {
			frame[name] = list
		}
	}
	return frame
}

func uniformHeader(h *musterv1.ViewHeader) map[string]any {
	if h == nil {
		return nil
	}
	return map[string]any{
		"view_id": decimal(h.GetViewId()), "epoch": decimal(h.GetEpoch()), "revision": decimal(h.GetRevision()),
		"digest": decimal(h.GetDigest()), "count": decimal(h.GetCount()),
		"recovering": slices.Contains(h.GetFlags(), musterv1.ViewFlag_VIEW_FLAG_RECOVERING),
	}
}

func (v *frameView) uniform() map[string]any {
	list := func(entries map[string]string) []string {
		texts := []string{}
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			texts = append(texts, key+"@"+entries[key])
		}
		return texts
	}
	return map[string]any{
		"view_id": decimal(viewNumber), "epoch": v.Epoch, "revision": v.Revision, "digest": v.Digest, "count": v.Count,
		"instances": list(v.Instances), "services": list(v.Services),
		"unconfirmed": append([]string{}, v.Unconfirmed...), "unverified": v.Unverified,
	}
}

// part is what a chunk of either kind holds.
type part struct {
	header    *musterv1.ViewHeader
	chunk     *musterv1.Chunk
	from      uint64
	cause     musterv1.SnapshotCause
	snapshot  bool
	instances []*musterv1.Instance
	services  []*musterv1.ServiceState
	removals  []*musterv1.Removal
}

func partOf(r *musterv1.WatchResponse) part {
	if s := r.GetSnapshot(); s != nil {
		return part{s.GetHeader(), s.GetChunk(), 0, s.GetCause(), true, s.GetInstances(), s.GetServices(), s.GetRemoved()}
	}
	d := r.GetDelta()
	return part{d.GetHeader(), d.GetChunk(), d.GetFromRevision(), 0, false, d.GetInstances(), d.GetServices(), d.GetRemovals()}
}
