package main

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// reference is the plainest client that follows docs/protocol.md: it copies
// everything and is in no hurry.
type reference struct {
	epoch, revision uint64
	held            bool
	instances       map[string]*musterv1.Instance
	services        map[string]*musterv1.ServiceState
	unconfirmed     map[string]bool
	unverified      bool
	mismatches      []int64
	resumed         bool
	staged          []*musterv1.WatchResponse
	removed         map[string]string
}

func (c *reference) apply(r *musterv1.WatchResponse, now int64) string {
	c.removed = map[string]string{}
	var outcome string
	if p := r.GetProgress(); p != nil {
		outcome = c.progress(p)
	} else {
		outcome = c.chunk(r, now)
	}
	if outcome != "STAGED" {
		c.staged = nil
	}
	return outcome
}

func (c *reference) progress(p *musterv1.Progress) string {
	h := p.GetHeader()
	switch {
	case h == nil, len(c.staged) > 0, !c.held, h.GetEpoch() != c.epoch, h.GetRevision() < c.revision:
		return "VIOLATION"
	case !c.unverified && !c.matches(h, c.instances, c.services):
		return "MISMATCH"
	}
	c.revision = h.GetRevision()
	c.endRecovery(h)
	return "APPLIED"
}

func (c *reference) chunk(r *musterv1.WatchResponse, now int64) string {
	p := partOf(r)
	position := p.chunk.GetPosition()
	if p.header == nil || position != musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL && position != musterv1.ChunkPosition_CHUNK_POSITION_FINAL ||
		int(p.chunk.GetIndex()) != len(c.staged) {
		return "VIOLATION"
	}
	if len(c.staged) > 0 {
		before := partOf(c.staged[0])
		if before.snapshot != p.snapshot || before.from != p.from || before.cause != p.cause || !proto.Equal(before.header, p.header) {
			return "VIOLATION"
		}
	} else if bad := c.begins(p); bad != "" {
		return bad
	}
	c.staged = append(c.staged, r)
	if position == musterv1.ChunkPosition_CHUNK_POSITION_PARTIAL {
		return "STAGED"
	}
	return c.finish(p, now)
}

// begins says whether an update may begin here.
func (c *reference) begins(p part) string {
	h := p.header
	if !p.snapshot && (!c.held || h.GetEpoch() != c.epoch || p.from != c.revision || h.GetRevision() <= c.revision) {
		return "GAP"
	}
	lostHere := p.cause == musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST
	if p.snapshot && c.resumed && c.held && h.GetEpoch() == c.epoch && h.GetRevision() < c.revision && !lostHere {
		return "VIOLATION"
	}
	return ""
}

func (c *reference) finish(p part, now int64) string {
	instances, services := map[string]*musterv1.Instance{}, map[string]*musterv1.ServiceState{}
	if !p.snapshot {
		instances, services = maps.Clone(c.instances), maps.Clone(c.services)
	}
	removals, ok := c.collect(instances, services, p.snapshot)
	if !ok {
		return "VIOLATION"
	}
	matches := c.matches(p.header, instances, services)
	if p.snapshot && !matches {
		c.mismatches = append(slices.DeleteFunc(c.mismatches, func(at int64) bool { return now-at >= 60_000 }), now)
	}
	if !matches && !(c.unverified || p.snapshot && len(c.mismatches) >= 3) {
		return "MISMATCH"
	}
	if p.snapshot {
		c.unverified = !matches
		if matches {
			c.mismatches = nil
		}
		c.keepUnconfirmed(p.header)
	}
	c.instances, c.services = instances, services
	c.epoch, c.revision, c.held, c.resumed = p.header.GetEpoch(), p.header.GetRevision(), true, true
	for key, reason := range removals {
		if c.unconfirmed[key] {
			c.removed[key] = reason
			delete(c.unconfirmed, key)
		}
	}
	maps.DeleteFunc(c.unconfirmed, func(key string, _ bool) bool { return c.instances[key] != nil })
	c.endRecovery(p.header)
	if p.snapshot {
		c.removed = map[string]string{}
	}
	return "APPLIED"
}

// collect applies all chunks to the maps; false if an entry occurs twice.
func (c *reference) collect(instances map[string]*musterv1.Instance, services map[string]*musterv1.ServiceState, snapshot bool) (map[string]string, bool) {
	seen, removals := map[string]bool{}, map[string]string{}
	once := true
	for _, frame := range c.staged {
		p := partOf(frame)
		for _, i := range p.instances {
			key := keyText(i.GetInstanceId())
			once = once && !seen[key]
			seen[key], instances[key] = true, i
		}
		for _, s := range p.services {
			once = once && !seen["state"]
			seen["state"], services["shop/pay"] = true, s
		}
		for _, r := range p.removals {
			key := keyText(r.GetKey().GetInstanceId())
			if r.GetKind() == musterv1.EntryKind_ENTRY_KIND_SERVICE_STATE {
				once = once && !seen["state"]
				seen["state"] = true
				delete(services, "shop/pay")
				continue
			}
			once = once && !seen[key]
			seen[key] = true
			reason := r.GetReason().String()[len("REMOVAL_REASON_"):]
			removals[key] = reason
			if !snapshot && instances[key] != nil {
				c.removed[key] = reason
			}
			delete(instances, key)
		}
	}
	return removals, once
}

func (c *reference) keepUnconfirmed(h *musterv1.ViewHeader) {
	if !slices.Contains(h.GetFlags(), musterv1.ViewFlag_VIEW_FLAG_RECOVERING) || !c.held || h.GetEpoch() <= c.epoch {
		return
	}
	for key := range c.instances {
		c.unconfirmed[key] = true
	}
}

func (c *reference) endRecovery(h *musterv1.ViewHeader) {
	if slices.Contains(h.GetFlags(), musterv1.ViewFlag_VIEW_FLAG_RECOVERING) {
		return
	}
	for key := range c.unconfirmed {
		c.removed[key] = "SNAPSHOT_ABSENT"
	}
	clear(c.unconfirmed)
}

func (c *reference) matches(h *musterv1.ViewHeader, instances map[string]*musterv1.Instance, services map[string]*musterv1.ServiceState) bool {
	sum, count := set{instances: slices.Collect(maps.Values(instances)), services: slices.Collect(maps.Values(services))}.digest()
	return sum == h.GetDigest() && count == h.GetCount()
}

// view writes what the client holds as the vectors do.
func (c *reference) view() *frameView {
	s := set{c.epoch, c.revision, slices.Collect(maps.Values(c.instances)), slices.Collect(maps.Values(c.services))}
	v := s.view(slices.Sorted(maps.Keys(c.unconfirmed))...)
	v.Unverified = c.unverified
	return v
}

// decode reads a frame and checks that its two forms are one message.
func decode(t *testing.T, f frameOnly) *musterv1.WatchResponse {
	t.Helper()
	wire, err := hex.DecodeString(f.Wire)
	if err != nil {
		t.Fatal(err)
	}
	a, b := &musterv1.WatchResponse{}, &musterv1.WatchResponse{}
	if err := proto.Unmarshal(wire, a); err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(f.Frame, b); err != nil || !proto.Equal(a, b) {
		t.Fatalf("%s is not %s (%v)", f.Wire, f.Frame, err)
	}
	return a
}

func read[T any](t *testing.T, name string) T {
	t.Helper()
	var file T
	text, err := os.ReadFile(filepath.Join(vectors, name))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFramesByTheReference(t *testing.T) {
	file := framesFile()
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			client := &reference{unconfirmed: map[string]bool{}}
			if c.Start != "" {
				if got := client.apply(decode(t, file.Starts[c.Start]), 0); got != "APPLIED" {
					t.Fatalf("the start is %s", got)
				}
				client.resumed = true
			}
			for i, step := range c.Steps {
				if step.Reopen != "" {
					client.staged, client.resumed = nil, step.Reopen == "RESUME"
					continue
				}
				before := client.view()
				if got := client.apply(decode(t, frameOnly{step.Frame, step.Wire}), step.NowMs); got != step.Outcome {
					t.Fatalf("step %d is %s, want %s", i, got, step.Outcome)
				}
				want := step.View
				if want == nil {
					want = before
				}
				if diff := cmp.Diff(want, client.view()); diff != "" {
					t.Fatalf("step %d: view (-want +got):\n%s", i, diff)
				}
				if len(step.Removed)+len(client.removed) > 0 && step.Outcome == "APPLIED" {
					if diff := cmp.Diff(step.Removed, client.removed); diff != "" {
						t.Fatalf("step %d: removed (-want +got):\n%s", i, diff)
					}
				}
			}
		})
	}
}
