package results

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/muster-registry/muster/bench/report"
)

// plots is the folder of the charts, beside the page.
const plots = "plots"

// Write writes RESULTS.md and the charts that it shows into a folder. Charts
// that this run has no figures for are removed.
func Write(r *report.Report, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, plots), 0o755); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	b := &strings.Builder{}
	head(b, r)
	targets(b, r)
	if err := charts(b, r, dir); err != nil {
		return err
	}
	notes(b, r)
	all(b, r)
	if err := os.WriteFile(filepath.Join(dir, "RESULTS.md"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

func head(b *strings.Builder, r *report.Report) {
	b.WriteString("# What a run of the benchmark found\n\n")
	b.WriteString("Written by `make bench`. [docs/performance.md](../docs/performance.md) says what is compared, how to read it, and what bounds each figure.\n\n")
	facts := r.Facts()
	b.WriteString("| | |\n| --- | --- |\n")
	for _, key := range slices.Sorted(maps.Keys(facts)) {
		fmt.Fprintf(b, "| %s | %s |\n", strings.ReplaceAll(key, "_", " "), cell(facts[key]))
	}
	if v, ok := r.Get("noise_percent"); ok {
		fmt.Fprintf(b, "| noise: the limit before and after everything | %s %% |\n", report.Number(v))
	}
	b.WriteString("\n")
}

func targets(b *strings.Builder, r *report.Report) {
	b.WriteString("## Targets\n\n| section | what | figure | | target | | key |\n| --- | --- | ---: | --- | --- | --- | --- |\n")
	measured, met := 0, 0
	for _, v := range r.Verdicts() {
		figure, result := "", "not measured"
		if v.Measured {
			measured++
			figure, result = report.Number(v.Figure), "**not met**"
			if v.Met {
				met++
				result = "met"
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | `%s` |\n", v.Section, cell(v.What), figure, v.Unit, v.GoalText(), result, v.Key)
	}
	fmt.Fprintf(b, "\n%d of the %d that were measured are met.\n\n", met, measured)
}

func charts(b *strings.Builder, r *report.Report, dir string) error {
	b.WriteString("## Cost against size\n\nBoth axes are logarithmic: a cost that does not depend on the size is a flat line.\n\n")
	figures := r.Figures()
	for _, d := range drawings() {
		path := filepath.Join(dir, plots, d.file+".svg")
		c, ok := d.chart(figures)
		if !ok {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove an old chart: %w", err)
			}
			continue
		}
		if err := os.WriteFile(path, c.SVG(), 0o644); err != nil {
			return fmt.Errorf("write a chart: %w", err)
		}
		fmt.Fprintf(b, "![%s](%s/%s.svg)\n\n", d.title, plots, d.file)
	}
	return nil
}

func notes(b *strings.Builder, r *report.Report) {
	if len(r.Notes()) == 0 {
		return
	}
	b.WriteString("## Notes\n\n")
	for _, n := range r.Notes() {
		fmt.Fprintf(b, "- %s\n", n)
	}
	b.WriteString("\n")
}

// all writes every figure, by the first word of its key.
func all(b *strings.Builder, r *report.Report) {
	b.WriteString("## All figures\n")
	figures, group := r.Figures(), ""
	for _, key := range slices.Sorted(maps.Keys(figures)) {
		if word, _, _ := strings.Cut(key, "_"); word != group {
			group = word
			fmt.Fprintf(b, "\n### %s\n\n| key | |\n| --- | ---: |\n", group)
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", key, report.Number(figures[key]))
	}
}

// cell makes a text fit into a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
