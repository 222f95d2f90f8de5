package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// watchPrinter writes changes, one line each.
type watchPrinter struct {
	out     io.Writer
	json    bool
	verbose bool
	zone    *time.Location
}

// timeLayout is the time of a line, by this machine's clock.
const timeLayout = "15:04:05.000"

func (p *watchPrinter) changes(changes []change, now time.Time) error {
	for _, c := range changes {
		if c.kind == changeProgress && !p.verbose {
			continue
		}
		line, err := p.line(c, now)
		if err != nil {
			return err
		}
		if line == "" {
			continue
		}
		if _, err := fmt.Fprintln(p.out, line); err != nil {
			return err
		}
	}
	return nil
}

func (p *watchPrinter) line(c change, now time.Time) (string, error) {
	if p.json {
		return jsonLine(c, now)
	}
	text := changeText(c, now)
	if text == "" {
		return "", nil
	}
	return now.In(p.zone).Format(timeLayout) + " " + text, nil
}

// changeText is a change for people; empty for what they need not see.
func changeText(c change, now time.Time) string {
	name := instanceName(c.instance)
	switch c.kind {
	case changeSnapshot:
		return fmt.Sprintf("= the whole set of %s%s (epoch %d, revision %d, %s)",
			c.view, snapshotText(c.cause), c.header.GetEpoch(), c.header.GetRevision(), entriesText(c.header.GetCount()))
	case changeAdded:
		return "+ " + name + " " + instanceLine(c.instance)
	case changeChanged:
		return "~ " + name + " " + strings.Join(instanceChanges(c.before, c.instance), ", ")
	case changeRemoved:
		return "- " + name + " " + short(c.reason, "REMOVAL_REASON_")
	case changeService:
		if e := c.service.GetEmptied(); e != nil {
			return "! " + emptiedText(c.service, e, now)
		}
		return ""
	case changeProgress:
		return fmt.Sprintf(". nothing else in %s up to revision %d (%s verified)",
			c.view, c.header.GetRevision(), entriesText(c.header.GetCount()))
	default:
		return ""
	}
}

func entriesText(count uint64) string {
	if count == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", count)
}

// snapshotText says why a set was sent again; nothing for the first one.
func snapshotText(cause musterv1.SnapshotCause) string {
	switch cause {
	case musterv1.SnapshotCause_SNAPSHOT_CAUSE_FIRST:
		return ""
	case musterv1.SnapshotCause_SNAPSHOT_CAUSE_NEW_EPOCH:
		return " again: the registry begins a new history"
	case musterv1.SnapshotCause_SNAPSHOT_CAUSE_ACCESS_CHANGED:
		return " again: what may be seen has changed"
	case musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_LOST:
		return " again: the registry LOST HISTORY that was seen here"
	case musterv1.SnapshotCause_SNAPSHOT_CAUSE_HISTORY_COMPACTED:
		return " again: too much changed meanwhile"
	default:
		return " again: " + short(cause, "SNAPSHOT_CAUSE_")
	}
}

// instanceLine is an instance in a line.
func instanceLine(i *musterv1.Instance) string {
	parts := []string{}
	if i.GetVersion() != "" {
		parts = append(parts, i.GetVersion())
	}
	if len(i.GetEndpoints()) > 0 {
		parts = append(parts, endpointsText(i.GetEndpoints()))
	}
	parts = append(parts, healthText(i), lifecycleText(i.GetLifecycle()))
	if w := weightText(i); w != "100" {
		parts = append(parts, "weight "+w)
	}
	if place := placeText(i.GetLocality()); place != "" {
		parts = append(parts, place)
	}
	return strings.Join(parts, " ")
}

// instanceChanges says which fields changed, and how.
func instanceChanges(before, after *musterv1.Instance) []string {
	var changes []string
	for _, f := range []struct{ name, was, is string }{
		{"version", before.GetVersion(), after.GetVersion()},
		{"endpoints", endpointsText(before.GetEndpoints()), endpointsText(after.GetEndpoints())},
		{"health", healthText(before), healthText(after)},
		{"lifecycle", lifecycleText(before.GetLifecycle()), lifecycleText(after.GetLifecycle())},
		{"weight", weightText(before), weightText(after)},
		{"place", placeText(before.GetLocality()), placeText(after.GetLocality())},
		{"metadata", metadataText(before), metadataText(after)},
		{"capabilities", strings.Join(before.GetCapabilities(), ","), strings.Join(after.GetCapabilities(), ",")},
	} {
		if f.was != f.is {
			changes = append(changes, f.name+" "+orNone(f.was)+" → "+orNone(f.is))
		}
	}
	if before.GetIncarnation() != after.GetIncarnation() {
		changes = append(changes, fmt.Sprintf("registered again (incarnation %d → %d)", before.GetIncarnation(), after.GetIncarnation()))
	}
	if len(changes) == 0 {
		changes = append(changes, fmt.Sprintf("rewritten at revision %d", after.GetModifyRevision()))
	}
	return changes
}

func metadataText(i *musterv1.Instance) string {
	// JSON sorts the keys and keeps odd values apart.
	if len(i.GetMetadata()) == 0 {
		return ""
	}
	text, err := json.Marshal(i.GetMetadata())
	if err != nil { // a map of strings always can
		return err.Error()
	}
	return string(text)
}

// jsonLine is a change for programs.
func jsonLine(c change, now time.Time) (string, error) {
	object := struct {
		Change   changeKind      `json:"change"`
		Time     string          `json:"time"`
		Selector string          `json:"selector"`
		Header   json.RawMessage `json:"header"`
		Cause    string          `json:"cause,omitempty"`
		Instance json.RawMessage `json:"instance,omitempty"`
		Before   json.RawMessage `json:"before,omitempty"`
		Reason   string          `json:"reason,omitempty"`
		Service  json.RawMessage `json:"service,omitempty"`
	}{Change: c.kind, Selector: c.view, Time: now.UTC().Format(time.RFC3339Nano)}
	if c.kind == changeSnapshot {
		object.Cause = short(c.cause, "SNAPSHOT_CAUSE_")
	}
	if c.kind == changeRemoved {
		object.Reason = short(c.reason, "REMOVAL_REASON_")
	}
	for _, part := range []struct {
		to      *json.RawMessage
		message proto.Message
		set     bool
	}{
		{&object.Header, c.header, true},
		{&object.Instance, c.instance, c.instance != nil},
		{&object.Before, c.before, c.before != nil},
		{&object.Service, c.service, c.service != nil},
	} {
		if !part.set {
			continue
		}
		text, err := protoJSON(part.message)
		if err != nil {
			return "", err
		}
		*part.to = text
	}
	line, err := json.Marshal(object)
	return string(line), err
}
