package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [TEXT...]",
		Short: "Look for what is wrong, or explain an error text",
		Long: `Without arguments: ask every server of the list, and tell what does not fit together.
It ends with 5 if no server answers and with 1 if something is wrong.

With an error text, of Muster or of gRPC: say what it means and what to do. It ends with 3
if nothing is known of it.`,
		Example: `  muster doctor
  muster doctor --server 10.0.0.5:7070,10.0.0.6:7070
  muster doctor 'name resolver error: produced zero addresses'
  muster doctor FENCED`,
		RunE: a.runE(func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				return a.explain(strings.Join(args, " "))
			}
			return a.examine(ctx)
		}),
	}
}

func (a *app) explain(text string) error {
	meaning, ok := explain(text)
	if !ok {
		meaning, ok = explain("[" + strings.ToUpper(strings.TrimSpace(text)) + "]")
	}
	if !ok {
		return fail(exitNotFound, "nothing is known of %q; give the whole text, or a reason of docs/errors.md such as FENCED", text)
	}
	fmt.Fprintln(a.out, meaning)
	return nil
}

// examined is what one server showed.
type examined struct{ address, cause, version, cluster string }

// examine asks every server, not only the first that answers.
func (a *app) examine(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	servers := make([]examined, len(a.servers))
	for i, address := range a.servers {
		servers[i] = a.examineOne(ctx, address)
	}
	findings := findingsOf(servers)
	if a.output.json {
		if err := a.examinedJSON(servers, findings); err != nil {
			return err
		}
	} else if err := a.examinedTable(servers, findings); err != nil {
		return err
	}
	switch {
	case !slices.ContainsFunc(servers, func(s examined) bool { return s.cause == "" }):
		return &failure{code: exitUnavailable}
	case len(findings) > 0:
		return &failure{code: exitError}
	default:
		return nil
	}
}

func (a *app) examineOne(ctx context.Context, address string) examined {
	r, cause := a.try(ctx, address)
	if r == nil {
		return examined{address: address, cause: cause}
	}
	defer r.Close()
	return examined{address: address, version: r.info.GetServerVersion(), cluster: r.info.GetClusterId()}
}

// findingsOf is what is wrong, for people.
func findingsOf(servers []examined) (findings []string) {
	var first *examined
	for i := range servers {
		s := &servers[i]
		if s.cause != "" {
			text := fmt.Sprintf("%s does not answer: %s.", s.address, s.cause)
			if meaning, ok := explain(s.cause); ok {
				text += " " + strings.ReplaceAll(meaning, "\n", " ")
			}
			findings = append(findings, text)
			continue
		}
		if first == nil {
			first = s
			continue
		}
		if s.cluster != first.cluster {
			findings = append(findings, fmt.Sprintf("%s is of cluster %s, but %s is of cluster %s: these are different registries. "+
				"Clients use the first that they reach and refuse the other.", s.address, s.cluster, first.address, first.cluster))
		}
		if s.version != first.version {
			findings = append(findings, fmt.Sprintf("%s runs version %s, but %s runs %s: finish the upgrade.",
				s.address, s.version, first.address, first.version))
		}
	}
	return findings
}

func (a *app) examinedTable(servers []examined, findings []string) error {
	rows := [][]string{{"SERVER", "STATE", "VERSION", "CLUSTER"}}
	for _, s := range servers {
		state := "answers"
		if s.cause != "" {
			state = "no answer"
		}
		rows = append(rows, []string{s.address, state, s.version, s.cluster})
	}
	if err := writeTable(a.out, rows); err != nil {
		return err
	}
	if len(findings) == 0 {
		findings = []string{"nothing is wrong"}
	}
	fmt.Fprintln(a.out)
	for _, f := range findings {
		fmt.Fprintln(a.out, "- "+f)
	}
	return nil
}

func (a *app) examinedJSON(servers []examined, findings []string) error {
	type server struct {
		Address string `json:"address"`
		Cause   string `json:"cause,omitempty"`
		Version string `json:"version,omitempty"`
		Cluster string `json:"clusterId,omitempty"`
	}
	list := make([]server, len(servers))
	for i, s := range servers {
		list[i] = server{s.address, s.cause, s.version, s.cluster}
	}
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{"servers": list, "findings": append([]string{}, findings...)})
}
