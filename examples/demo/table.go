package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// row is one line of the table at the end.
type row [6]string

// add adds a step: how long until each caller saw it, and its calls.
func (d *demo) add(what string, seen []time.Duration, calls []fleet.Calls, mayFail uint64) {
	var made, failed uint64
	for _, c := range calls {
		made += c.Made()
		failed += c.Failed
	}
	d.rows = append(d.rows, row{
		what, shortOrNone(seen[0]), shortOrNone(seen[1]),
		strconv.FormatUint(made, 10), strconv.FormatUint(failed, 10),
		strconv.FormatUint(mayFail*uint64(len(calls)), 10),
	})
}

// addSeen adds something of the same step that was seen apart.
func (d *demo) addSeen(what string, seen []time.Duration) {
	d.rows = append(d.rows, row{what, short(seen[0]), short(seen[1]), "", "", ""})
}

func shortOrNone(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return short(d)
}

// table writes what happened, and how it was seen.
func (d *demo) table(out io.Writer) {
	rows := append([]row{{"what happened", "Go after", "Rust after", "calls", "failed", "may fail"}}, d.rows...)
	var widths [6]int
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], len(cell))
		}
	}
	fmt.Fprintln(out)
	for i, r := range rows {
		fmt.Fprintln(out, strings.TrimRight(aligned(r, widths), " "))
		if i == 0 {
			var rule row
			for i, w := range widths {
				rule[i] = strings.Repeat("-", w)
			}
			fmt.Fprintln(out, aligned(rule, widths))
		}
	}
}

// aligned puts the first cell to the left and the others to the right.
func aligned(r row, widths [6]int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-*s", widths[0], r[0])
	for i, cell := range r[1:] {
		fmt.Fprintf(&text, "  %*s", widths[i+1], cell)
	}
	return text.String()
}
