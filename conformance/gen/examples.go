package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	exampleBegin = "<!-- example: "
	exampleEnd   = "<!-- end of example -->"
)

// examples are the worked examples of docs/protocol.md by name. folder is that
// of the vectors, for those that are written by hand.
func examples(folder string) map[string]string {
	return map[string]string{
		"digest":    digestExample(),
		"view id":   viewIDExample(),
		"frames":    framesExample(),
		"resume":    resumeExample(folder),
		"register":  registerExample(folder),
		"intent":    intentExample(folder),
		"freshness": freshnessExample(),
		"keepalive": keepaliveExample(),
		"backoff":   backoffExample(),
	}
}

// insert puts each example between its marks. It fails if the page lacks a
// mark, or has one that no example is for.
func insert(page string, examples map[string]string) (string, error) {
	var out strings.Builder
	used := 0
	for rest := page; ; {
		before, after, found := strings.Cut(rest, exampleBegin)
		out.WriteString(before)
		if !found {
			break
		}
		name, after, _ := strings.Cut(after, " -->\n")
		text, ok := examples[name]
		_, rest, found = strings.Cut(after, exampleEnd)
		if !ok || !found {
			return "", fmt.Errorf("mark %q has no example, or no end", name)
		}
		used++
		out.WriteString(exampleBegin + name + " -->\n" + text + exampleEnd)
	}
	if used != len(examples) {
		return "", fmt.Errorf("the page has marks for %d of %d examples", used, len(examples))
	}
	return out.String(), nil
}

// writeExamples rewrites the page in place.
func writeExamples(folder, page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	with, err := insert(string(text), examples(folder))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(with), 0o644) //nolint:gosec // public
}

// table writes a Markdown table.
func table(head string, rows ...string) string {
	columns := strings.Count(head, "|") + 1
	return "\n| " + head + " |\n|" + strings.Repeat(" --- |", columns) + "\n| " + strings.Join(rows, " |\n| ") + " |\n\n"
}

func block(lines ...string) string {
	return "\n```text\n" + strings.Join(lines, "\n") + "\n```\n\n"
}

// load reads hand-written vectors.
func load[T any](folder, name string) T {
	var file T
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		panic(err) // a file of this repository
	}
	return file
}

type claimVectors struct {
	Cases []struct {
		Name, Decision string
		Rule           int
		Present        *struct {
			LeaseID            string `json:"lease_id"`
			RequestID          string `json:"request_id"`
			Epoch, Incarnation string
		}
		Request struct {
			RequestID string `json:"request_id"`
			Previous  *struct {
				LeaseID            string `json:"lease_id"`
				Epoch, Incarnation string
			}
			TakeOver *struct{ Incarnations []string } `json:"take_over"`
		}
	}
}

func registerExample(folder string) string {
	var rows []string
	for _, c := range load[claimVectors](folder, "register.json").Cases {
		present, claim := "none", "nothing"
		if p := c.Present; p != nil {
			present = fmt.Sprintf("%s at %s/%s by %s", p.LeaseID, p.Epoch, p.Incarnation, short(p.RequestID))
		}
		if p := c.Request.Previous; p != nil {
			claim = fmt.Sprintf("previous %s at %s/%s", p.LeaseID, p.Epoch, p.Incarnation)
		}
		if t := c.Request.TakeOver; t != nil {
			claim = "take over " + strings.Join(t.Incarnations, ", ")
		}
		rows = append(rows, fmt.Sprintf("%s | %s | %s, %s | %d: %s", c.Name, present, short(c.Request.RequestID), claim, c.Rule, c.Decision))
	}
	return table("case | present lease (epoch/incarnation) | request | rule and decision", rows...)
}

// short shortens a request_id of the vectors to its last digit.
func short(id string) string { return "r" + id[len(id)-1:] }

func resumeExample(folder string) string {
	type position struct {
		Epoch, Revision, Digest, Count, Probe string
		ViewID                                string `json:"view_id"`
		LogsFrom                              string `json:"logs_from"`
		LastChange                            string `json:"last_change"`
	}
	file := load[struct {
		Cases []struct {
			Name     string
			Rule     int
			Server   position
			Resume   *position
			Decision map[string]string
		}
	}](folder, "resume.json")
	var rows []string
	for _, c := range file.Cases {
		s, client := c.Server, "nothing"
		if r := c.Resume; r != nil {
			client = fmt.Sprintf("%s/%s, view %s, %s×%s", r.Epoch, r.Revision, r.ViewID, r.Digest, r.Count)
		}
		server := fmt.Sprintf("%s/%s, view %s, %s×%s, logs from %s, last change %s", s.Epoch, s.Revision, s.ViewID, s.Digest, s.Count, s.LogsFrom, s.LastChange)
		if s.Probe != "" {
			server += ", probe " + s.Probe
		}
		d := c.Decision
		decision := strings.TrimSpace(d["frame"] + " " + d["cause"] + d["error"])
		if d["from_revision"] != "" {
			decision += " from " + d["from_revision"]
		}
		rows = append(rows, fmt.Sprintf("%s | %s | %s | %d: %s", c.Name, server, client, c.Rule, decision))
	}
	return table("case | server: epoch/revision, view_id, digest×count | client | rule and decision", rows...)
}

func intentExample(folder string) string {
	file := load[struct {
		Cases []struct {
			Name, Intent                    string
			Received, Forbidden, Recovering bool
			Filtered                        bool
			Instances                       int
			State                           json.RawMessage
			LastRemoval                     string `json:"last_removal"`
		}
	}](folder, "intent.json")
	var rows []string
	for _, c := range file.Cases {
		facts := []string{fmt.Sprintf("%d instances", c.Instances)}
		for _, f := range []struct {
			holds bool
			text  string
		}{{!c.Received, "no view"}, {c.Forbidden, "forbidden"}, {c.Recovering, "RECOVERING"}, {c.Filtered, "a filter"}, {c.LastRemoval != "", "last removal " + c.LastRemoval}} {
			if f.holds {
				facts = append(facts, f.text)
			}
		}
		state := "none"
		if string(c.State) != "null" {
			state = "`" + string(spaced(squeeze(c.State))) + "`"
		}
		rows = append(rows, fmt.Sprintf("%s | %s | %s | %s", c.Name, strings.Join(facts, ", "), state, c.Intent))
	}
	return table("case | known | state | intent", rows...)
}
