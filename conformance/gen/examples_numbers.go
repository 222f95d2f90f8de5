package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// annotator takes encoded bytes apart and says what each part is.
type annotator struct {
	rest  []byte
	lines []string
}

func annotate(text string) *annotator {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err) // made here
	}
	return &annotator{rest: b}
}

func (a *annotator) take(n int) []byte {
	b := a.rest[:n]
	a.rest = a.rest[n:]
	return b
}

func (a *annotator) line(b []byte, what string) {
	a.lines = append(a.lines, fmt.Sprintf("%-36s %s", hexOf(b), what))
}

func (a *annotator) u8(what string) {
	b := a.take(1)
	a.line(b, fmt.Sprintf("%s %d", what, b[0]))
}

func (a *annotator) u32(what string) uint32 {
	b := a.take(4)
	n := binary.LittleEndian.Uint32(b)
	a.line(b, fmt.Sprintf("%s %d", what, n))
	return n
}

func (a *annotator) u64(what string) {
	b := a.take(8)
	a.line(b, fmt.Sprintf("%s %d", what, binary.LittleEndian.Uint64(b)))
}

func (a *annotator) str(what string) {
	n := int(binary.LittleEndian.Uint32(a.rest))
	b := a.take(4 + n)
	a.line(b, fmt.Sprintf("%s %q", what, b[4:]))
}

func digestExample() string {
	file := digestFile()
	for _, c := range file.Cases {
		if c.Name != "an instance and the state of its service" {
			continue
		}
		var lines []string
		for _, e := range c.Entries {
			a := annotate(e.Encoded)
			a.u8("kind")
			a.str("namespace")
			a.str("service")
			a.str("instance_id")
			a.u64("modify_revision")
			a.u64("tag")
			lines = append(lines, append(a.lines, "XXH64 = "+e.Hash, "")...)
		}
		lines = append(lines, "digest = "+c.Digest+" (the sum modulo 2^64), count = "+c.Count)
		return block(lines...)
	}
	panic("the case is missing")
}

func viewIDExample() string {
	file, _ := viewIDFile().(viewIDVectors)
	for _, c := range file.Cases {
		if c.Name != "metadata, sorted by key and values" {
			continue
		}
		a := annotate(c.Canonical + hexOf(u32(str(nil, c.AccessClass), filterVersion)))
		a.u8("form")
		a.u8("services, kind")
		for range a.u32("services, number") {
			a.str("namespace")
			a.str("service")
		}
		a.u8("field metadata, number")
		for range a.u32("conditions, number") {
			a.str("key")
			for range a.u32("values, number") {
				a.str("value")
			}
		}
		a.str("access class")
		a.u32("filter version")
		head := "For the selector `" + string(spaced(squeeze(c.Selector))) + "`:\n"
		return "\n" + head + block(append(a.lines, "XXH64 = view_id = "+c.ViewID)...)
	}
	panic("the case is missing")
}

func framesExample() string {
	file := framesFile()
	var out strings.Builder
	out.WriteString("\nAll of these are about the service `shop/pay`; `a@11` is the instance a with modify_revision 11, `state@10` its ServiceState. " +
		"Where nothing else is said the client holds 7/20 with a@11, b@12, state@10: epoch 7, revision 20.\n")
	for _, name := range []string{
		"a snapshot in three chunks", "a delta in two chunks", "a delta from a later revision", "a delta that forgets a removal",
		"the stage does not survive a new stream",
		"while recovering, absent entries are kept as unconfirmed until they appear or the flag clears",
	} {
		for _, c := range file.Cases {
			if c.Name == name {
				out.WriteString("\n" + strings.ToUpper(name[:1]) + name[1:] + startText(c.Start) + ":\n" + stepsTable(c.Steps))
			}
		}
	}
	return strings.ReplaceAll(out.String(), "\n\n\n", "\n\n")
}

func startText(start string) string {
	switch start {
	case "":
		return " (the client holds nothing)"
	case "old":
		return " (the client holds 7/20 with a@11, b@12, c@13, state@10)"
	}
	return ""
}

func stepsTable(steps []frameStep) string {
	var rows []string
	for _, s := range steps {
		if s.Reopen != "" {
			rows = append(rows, "the stream breaks; reopened with position | | ")
			continue
		}
		rows = append(rows, fmt.Sprintf("%s | %s | %s", frameText(s), s.Outcome, viewText(s.View)))
	}
	return table("frame | outcome | the client then holds", rows...)
}

func frameText(s frameStep) string {
	m := &musterv1.WatchResponse{}
	mustUnmarshal(s.Wire, m)
	if p := m.GetProgress(); p != nil {
		return "Progress to " + headerText(p.GetHeader())
	}
	kind := "Snapshot"
	header, chunk := m.GetSnapshot().GetHeader(), m.GetSnapshot().GetChunk()
	content := set{instances: m.GetSnapshot().GetInstances(), services: m.GetSnapshot().GetServices()}
	removals := m.GetSnapshot().GetRemoved()
	if d := m.GetDelta(); d != nil {
		kind = "Delta from " + decimal(d.GetFromRevision())
		header, chunk, removals = d.GetHeader(), d.GetChunk(), d.GetRemovals()
		content = set{instances: d.GetInstances(), services: d.GetServices()}
	}
	parts := contentText(content)
	for _, r := range removals {
		parts = append(parts, "−"+r.GetKey().GetInstanceId()+" "+strings.TrimPrefix(r.GetReason().String(), "REMOVAL_REASON_"))
	}
	position := strings.TrimPrefix(chunk.GetPosition().String(), "CHUNK_POSITION_")
	return fmt.Sprintf("%s to %s, chunk %d %s: %s", kind, headerText(header), chunk.GetIndex(), position, strings.Join(parts, ", "))
}

func headerText(h *musterv1.ViewHeader) string {
	parts := []string{fmt.Sprintf("%d/%d", h.GetEpoch(), h.GetRevision())}
	for _, f := range h.GetFlags() {
		parts = append(parts, strings.TrimPrefix(f.String(), "VIEW_FLAG_"))
	}
	return strings.Join(parts, " ")
}

func contentText(s set) []string {
	var parts []string
	for _, i := range s.instances {
		parts = append(parts, fmt.Sprintf("%s@%d", i.GetInstanceId(), i.GetModifyRevision()))
	}
	for _, t := range s.services {
		parts = append(parts, fmt.Sprintf("state@%d", t.GetModifyRevision()))
	}
	return parts
}

func viewText(v *frameView) string {
	if v == nil {
		return "the same"
	}
	var parts []string
	for _, id := range []string{"a", "b", "c", "d"} {
		if r, ok := v.Instances[keyText(id)]; ok {
			parts = append(parts, id+"@"+r)
		}
	}
	if r, ok := v.Services["shop/pay"]; ok {
		parts = append(parts, "state@"+r)
	}
	text := fmt.Sprintf("%s/%s: %s", v.Epoch, v.Revision, strings.Join(parts, ", "))
	if len(v.Unconfirmed) > 0 {
		text += "; unconfirmed: " + strings.ReplaceAll(strings.Join(v.Unconfirmed, ", "), "shop/pay/", "")
	}
	return text
}

func freshnessExample() string {
	file := freshnessFile()
	var rows []string
	for _, c := range file.Cases {
		if c.FreshForMs != 30_000 || c.Doubtful {
			continue // about more than age
		}
		for i, f := range c.Frames {
			name := ""
			if i == 0 {
				name = c.Name
			}
			rows = append(rows, fmt.Sprintf("%s | %d | %d | %d | %d", name, f.ReceivedMs, f.ServerUptimeMs, f.DataAgeMs, f.AgeMs))
		}
	}
	return table("stream | received | server_uptime_ms | data_age_ms | age then", rows...)
}

func keepaliveExample() string {
	file := keepaliveFile()
	var rows []string
	for _, c := range file.Cases {
		if c.TTLMs == 15_000 || c.TTLMs == 1000 {
			rows = append(rows, fmt.Sprintf("%d | %s | %d", c.TTLMs, c.Word, c.DueMs))
		}
	}
	return table("TTL, ms | word | due after, ms", rows...)
}

func backoffExample() string {
	file := backoffFile()
	var rows []string
	for _, c := range file.Cases {
		if c.CapMs == 5000 && (c.Attempt < 3 || c.Attempt == 5) {
			rows = append(rows, fmt.Sprintf("%d | %s | %d", c.Attempt, c.Word, c.DelayMs))
		}
	}
	return table("failures before | word | delay, ms (cap 5,000)", rows...)
}
