package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// line is one run of one suite as it stands in the tally file. Fields are separated by tabs, so a
// suite's name may hold spaces but no tab and no newline.
type line struct {
	suite   string
	counts  counts
	elapsed time.Duration
}

func appendLine(path string, l line) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\t%d\t%d\t%d\t%d\n",
		l.suite, l.counts.passed, l.counts.failed, l.counts.skipped, l.elapsed.Milliseconds())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func parseLine(text string) (line, error) {
	fields := strings.Split(text, "\t")
	if len(fields) != 5 {
		return line{}, fmt.Errorf("line %q: want suite, passed, failed, skipped and milliseconds between tabs", text)
	}
	l := line{suite: fields[0]}
	var ms int64
	for i, into := range []any{&l.counts.passed, &l.counts.failed, &l.counts.skipped, &ms} {
		if _, err := fmt.Sscan(fields[i+1], into); err != nil {
			return line{}, fmt.Errorf("line %q: field %d: %w", text, i+2, err)
		}
	}
	l.elapsed = time.Duration(ms) * time.Millisecond
	return l, nil
}

// sum prints one row per suite, in the order of their first runs, and the total as the last line.
func sum(path string, out io.Writer) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 2, err
	}
	var rows []line
	index := map[string]int{}
	for _, text := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if text == "" {
			continue
		}
		l, err := parseLine(text)
		if err != nil {
			return 2, fmt.Errorf("%s: %w", path, err)
		}
		i, seen := index[l.suite]
		if !seen {
			index[l.suite] = len(rows)
			rows = append(rows, l)
			continue
		}
		rows[i].add(l)
	}
	return printTable(rows, out)
}

func (l *line) add(other line) {
	l.counts.passed += other.counts.passed
	l.counts.failed += other.counts.failed
	l.counts.skipped += other.counts.skipped
	l.elapsed += other.elapsed
}

func printTable(rows []line, out io.Writer) (int, error) {
	total := line{suite: "total"}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "suite\tpassed\tfailed\tskipped\tseconds\t\n")
	for _, row := range rows {
		printRow(table, row)
		total.add(row)
	}
	printRow(table, total)
	if err := table.Flush(); err != nil {
		return 2, err
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", total.counts.passed, total.counts.failed)
	if total.counts.failed > 0 {
		return 1, nil
	}
	return 0, nil
}

func printRow(out io.Writer, l line) {
	fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%.1f\t\n",
		l.suite, l.counts.passed, l.counts.failed, l.counts.skipped, l.elapsed.Seconds())
}
