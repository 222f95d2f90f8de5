package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// world is what a server knows of a view: modify revisions by instance.
type world struct {
	epoch, revision uint64
	instances       map[string]uint64
	recovering      bool
}

// history is a frames input that a server could send, for the most part.
func (m *maker) history() any {
	w := &world{epoch: 7, revision: 10, instances: map[string]uint64{}}
	w.change(m)
	steps := []any{map[string]any{"frame": w.snapshot(1)}}
	now := 0
	for range m.rand.IntN(8) {
		now += m.rand.IntN(40_000)
		step := map[string]any{"now_ms": json.Number(strconv.Itoa(now))}
		switch m.rand.IntN(10) {
		case 0:
			step["reopen"] = pickOne(m.rand, []string{"RESUME", "FRESH"})
		case 1:
			w.epoch, w.revision, w.recovering = w.epoch+1, 1, true
			w.change(m)
			step["frame"] = w.snapshot(2)
		case 2:
			w.recovering = false
			step["frame"] = map[string]any{"kind": "PROGRESS", "header": w.header()}
		case 3:
			w.change(m)
			step["frame"] = w.snapshot(json.Number(strconv.Itoa(m.rand.IntN(7))))
		case 4:
			step["frame"] = m.spoiled(w.snapshot(6))
		default:
			step["frame"] = w.change(m)
		}
		steps = append(steps, step)
	}
	return map[string]any{"steps": steps}
}

// spoiled has another digest.
func (m *maker) spoiled(frame map[string]any) any {
	if header, ok := frame["header"].(map[string]any); ok {
		header["digest"] = strconv.FormatUint(m.rand.Uint64(), 10)
	}
	return frame
}

// change moves the world on and returns the delta.
func (w *world) change(m *maker) any {
	from := w.revision
	var upserts, removals []any
	ids := m.rand.Perm(6)[:1+m.rand.IntN(3)]
	for _, n := range ids {
		id := string(rune('a' + n))
		w.revision++
		if _, held := w.instances[id]; held && m.rand.IntN(2) == 0 {
			delete(w.instances, id)
			removals = append(removals, map[string]any{
				"kind": json.Number("1"), "namespace": "shop", "service": "pay", "instance_id": id, "reason": json.Number("2"),
			})
			continue
		}
		w.instances[id] = w.revision
		upserts = append(upserts, w.entry(id))
	}
	return map[string]any{
		"kind": "DELTA", "header": w.header(), "position": json.Number("2"),
		"from_revision": strconv.FormatUint(from, 10), "instances": list(upserts), "removals": list(removals),
	}
}

func list(l []any) []any {
	if l == nil {
		return []any{}
	}
	return l
}

func (w *world) snapshot(cause any) map[string]any {
	entries := []any{}
	for _, id := range slices.Sorted(maps.Keys(w.instances)) {
		entries = append(entries, w.entry(id))
	}
	return map[string]any{
		"kind": "SNAPSHOT", "header": w.header(), "position": json.Number("2"), "cause": json.Number(fmt.Sprint(cause)), "instances": entries,
	}
}

func (w *world) entry(id string) map[string]any {
	return map[string]any{
		"namespace": "shop", "service": "pay", "instance_id": id,
		"modify_revision": strconv.FormatUint(w.instances[id], 10), "tag": strconv.FormatUint(w.epoch, 10),
	}
}

// header describes the world as it is, by the formula of docs/client-spec.md,
// section 5. The tag of an entry is the epoch, and so changes with it.
func (w *world) header() map[string]any {
	var sum uint64
	for id, revision := range w.instances {
		b := []byte{1}
		for _, part := range []string{"shop", "pay", id} {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(part))) //nolint:gosec // short
			b = append(b, part...)
		}
		b = binary.LittleEndian.AppendUint64(b, revision)
		sum += xxhash.Sum64(binary.LittleEndian.AppendUint64(b, w.epoch))
	}
	return map[string]any{
		"view_id": "5", "epoch": strconv.FormatUint(w.epoch, 10), "revision": strconv.FormatUint(w.revision, 10),
		"digest": strconv.FormatUint(sum, 10), "count": strconv.Itoa(len(w.instances)), "recovering": w.recovering,
	}
}
