package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// cargoResult is the line that closes each test binary and each crate's documentation tests.
var cargoResult = regexp.MustCompile(`^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;`)

// cargoCounter sums what `cargo test` reports. A binary that dies prints no result line; the
// command's exit status then counts it.
type cargoCounter struct {
	sum counts
}

func (c *cargoCounter) read(output io.Reader, show io.Writer) error {
	lines := bufio.NewReader(output)
	for {
		text, err := lines.ReadString('\n')
		c.take(text)
		if interesting(text) {
			fmt.Fprint(show, text)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *cargoCounter) take(text string) {
	m := cargoResult.FindStringSubmatch(text)
	if m == nil {
		return
	}
	c.sum.passed += number(m[1])
	c.sum.failed += number(m[2])
	c.sum.skipped += number(m[3])
}

func (c *cargoCounter) counts() counts { return c.sum }

// boring matches what is said of tests that passed: their lines or dots, and what surrounds them.
var boring = regexp.MustCompile(`^$|^test .* \.\.\. ok$|^[.]+( \d+/\d+)?$|^running \d+ tests?$|^all doctests ran in |^test result: ok\. 0 passed; 0 failed; 0 ignored;`)

func interesting(text string) bool {
	return !boring.MatchString(strings.TrimRight(text, "\n"))
}

// number converts digits that a pattern already matched.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		panic(fmt.Sprintf("tally: count %q does not fit an int", digits))
	}
	return n
}
