package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/muster-registry/muster/conformance/harness/play"
)

// print writes the table, what failed and the counts. It tells whether all is
// well.
func (r *results) print(out io.Writer, c *config, took time.Duration) bool {
	passed, failed := map[string]int{}, map[string]int{}
	skipped, different := 0, 0
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "scenario")
	for _, language := range c.languages {
		fmt.Fprintf(table, "\t%s", language)
	}
	fmt.Fprintln(table, "\tequal")
	for _, line := range r.rows {
		fmt.Fprint(table, line.scenario.Name)
		if line.skipped != "" {
			skipped++
			fmt.Fprintf(table, "\tskipped: %s\n", line.skipped)
			continue
		}
		for _, language := range c.languages {
			o := line.outcomes[language]
			word := "passed"
			if o.Err != nil {
				word = "FAILED"
				failed[language]++
			} else {
				passed[language]++
			}
			fmt.Fprintf(table, "\t%s %.1fs", word, o.Took.Seconds())
		}
		verdict := line.verdict(c.languages)
		if verdict == "NO" {
			different++
		}
		fmt.Fprintf(table, "\t%s\n", verdict)
	}
	_ = table.Flush()
	r.details(out, c)
	total := 0
	for _, language := range c.languages {
		fmt.Fprintf(out, "%s: %d passed, %d failed\n", language, passed[language], failed[language])
		total += failed[language]
	}
	fmt.Fprintf(out, "traces: %d different; %d skipped; %.0f s\n", different, skipped, took.Seconds())
	if c.keep {
		fmt.Fprintf(out, "folders: %s\n", r.dir)
	}
	if c.tally != "" {
		if err := writeTally(c, passed, failed, skipped, different, took); err != nil {
			fmt.Fprintln(out, err)
			return false
		}
	}
	return total == 0 && different == 0
}

// verdict compares every language with the first.
func (line *row) verdict(languages []string) string {
	for _, language := range languages {
		if line.outcomes[language].Err != nil {
			return "-"
		}
	}
	for _, language := range languages[1:] {
		if play.Difference(line.outcomes[languages[0]].Trace, line.outcomes[language].Trace) != "" {
			return "NO"
		}
	}
	return "yes"
}

// details tells what failed, and where traces differ.
func (r *results) details(out io.Writer, c *config) {
	for _, line := range r.rows {
		if line.skipped != "" {
			continue
		}
		for _, language := range c.languages {
			if o := line.outcomes[language]; o.Err != nil {
				fmt.Fprintf(out, "\nFAILED %s in %s: %v\n%s", line.scenario.Name, language, o.Err, o.Logs)
			}
		}
		if line.verdict(c.languages) != "NO" {
			continue
		}
		for _, language := range c.languages[1:] {
			first := c.languages[0]
			if d := play.Difference(line.outcomes[first].Trace, line.outcomes[language].Trace); d != "" {
				fmt.Fprintf(out, "\nDIFFERENT %s: %s, then %s\n%s", line.scenario.Name, first, language, d)
			}
		}
	}
	fmt.Fprintln(out)
}

// writeTally adds one line for each language and one for the comparison.
func writeTally(c *config, passed, failed map[string]int, skipped, different int, took time.Duration) error {
	f, err := os.OpenFile(c.tally, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, language := range c.languages {
		_, err = fmt.Fprintf(f, "%s %s\t%d\t%d\t%d\t%d\n", c.suite, language, passed[language], failed[language], skipped, took.Milliseconds())
		if err != nil {
			return err
		}
	}
	if different > 0 {
		_, err = fmt.Fprintf(f, "%s equal\t0\t%d\t0\t0\n", c.suite, different)
	}
	return err
}
