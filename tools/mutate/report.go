package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is the fates of mutants.
type report struct {
	mutants   []*mutant
	explained []string
}

// readExplained reads the lines that explain a survivor: those that begin as
// survivors are printed.
func readExplained(path string) (lines []string, err error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // named on the command line
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "- `") && strings.Contains(line, ".go` `") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines, nil
}

// tally counts fates.
type tally struct{ all, killed, survived, explained int }

func (t *tally) add(o tally) {
	t.all += o.all
	t.killed += o.killed
	t.survived += o.survived
	t.explained += o.explained
}

// share is what was killed, in tenths of a percent.
func (t tally) share() int { return 1000 * t.killed / max(t.all, 1) }

// write prints the report; false if it is not as it should be.
func (r *report) write(out io.Writer, o options) bool {
	good := true
	used := make([]bool, len(r.explained))
	perFile := make(map[string]*tally)
	var files []string
	for _, m := range r.mutants {
		if o.everything {
			fmt.Fprintf(out, "%s: line %d: %s\n", m.describe(), m.line, fates[m.fate])
		}
		name := filepath.Base(m.source.path)
		if perFile[name] == nil {
			perFile[name] = new(tally)
			files = append(files, name)
		}
		one := r.count(m, used)
		perFile[name].add(one)
		if one.survived > one.explained {
			fmt.Fprintf(out, "%s: %s at line %d\n", m.describe(), fates[m.fate], m.line)
			good = good && o.explained == ""
		}
	}
	total := table(out, files, perFile)
	for n, line := range r.explained {
		// A sample, or a run of some files only, need not meet all of them.
		if !used[n] && o.every <= 1 && slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(line, "- `"+f+"`") }) {
			fmt.Fprintf(out, "explained, but it does not survive: %s\n", line)
			good = false
		}
	}
	fmt.Fprintf(out, "%d mutants, %d killed, %d survived, of which %d are explained; score %d.%d %%\n",
		total.all, total.killed, total.survived, total.explained, total.share()/10, total.share()%10)
	return good && total.killed*100 >= o.minimum*total.all
}

// count is a mutant's part of a tally.
func (r *report) count(m *mutant, used []bool) tally {
	switch m.fate {
	case killed:
		return tally{all: 1, killed: 1}
	case survived, unreached:
		t := tally{all: 1, survived: 1}
		for n, line := range r.explained {
			if strings.HasPrefix(line, m.describe()+": ") {
				used[n] = true
				t.explained = 1
			}
		}
		return t
	default:
		return tally{}
	}
}

func table(out io.Writer, files []string, perFile map[string]*tally) (total tally) {
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(columns, "file\tmutants\tkilled\tsurvived\tscore\t")
	for _, f := range files {
		t := perFile[f]
		total.add(*t)
		fmt.Fprintf(columns, "%s\t%d\t%d\t%d\t%d.%d %%\t\n", f, t.all, t.killed, t.survived, t.share()/10, t.share()%10)
	}
	_ = columns.Flush() // to where everything else goes as well
	return total
}
