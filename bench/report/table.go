package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Number writes a figure with three or four digits that count.
func Number(v float64) string {
	switch abs := max(v, -v); {
	case abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 0.1 || abs == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// GoalText writes what is compared with, such as ">= 0.9".
func (v Verdict) GoalText() string {
	if v.AtMost {
		return "<= " + Number(v.Goal)
	}
	return ">= " + Number(v.Goal)
}

// Result is "met", "NOT met" or "-" when it was not measured.
func (v Verdict) Result() string {
	switch {
	case !v.Measured:
		return "-"
	case v.Met:
		return "met"
	default:
		return "NOT met"
	}
}

// WriteTable writes the targets that were measured, all other figures, and the notes.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "section\twhat\tfigure\t\ttarget\tresult\tkey")
	shown, met := map[string]bool{}, 0
	for _, v := range r.Verdicts() {
		if !v.Measured {
			continue
		}
		shown[v.Key] = true
		if v.Met {
			met++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Section, v.What, Number(v.Figure), v.Unit, v.GoalText(), v.Result(), v.Key)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d of %d targets that were measured are met\n\n", met, len(shown))
	figures := r.Figures()
	for _, key := range slices.Sorted(maps.Keys(figures)) {
		if !shown[key] {
			fmt.Fprintf(table, "%s\t%s\n", key, Number(figures[key]))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, note := range r.Notes() {
		fmt.Fprintln(w, "note:", note)
	}
	return nil
}
