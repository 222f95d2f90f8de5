// Command tally runs test suites and counts what they did.
//
//	tally go    SUITE FILE -- go test -json ...   counts the tests of Go packages
//	tally cargo SUITE FILE -- cargo test ...      sums the "test result:" lines
//	tally one   SUITE FILE -- COMMAND ...         counts the command itself as one test
//	tally sum   FILE                              prints the table and "N passed, N failed"
//
// A run appends its counts to FILE, so that suites run one by one add up. A suite that could not
// run, or whose command failed without a failed test, counts as one failed test: nothing that went
// wrong is missing from the total. The exit status is 0 if nothing failed, 1 if something did and 2
// if tally was called wrongly.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// counter reads one suite's standard output while it runs.
type counter interface {
	// read consumes the output to its end, passing on what a person wants to see.
	read(output io.Reader, show io.Writer) error
	// counts is what was seen; called once read has returned and the command has ended.
	counts() counts
}

// counts is the outcome of one suite. A test counts once, as what it ended as.
type counts struct {
	passed, failed, skipped int
}

func main() {
	code, err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
	}
	os.Exit(code)
}

func run(args []string, stdout, stderr io.Writer) (int, error) {
	if len(args) == 2 && args[0] == "sum" {
		return sum(args[1], stdout)
	}
	if len(args) < 5 || args[3] != "--" {
		return 2, errors.New("want: tally go|cargo|one SUITE FILE -- COMMAND..., or tally sum FILE")
	}
	kind, suite, file, command := args[0], args[1], args[2], args[4:]
	var c counter
	switch kind {
	case "go":
		c = newGoCounter()
	case "cargo":
		c = &cargoCounter{}
	case "one":
		c = oneCounter{}
	default:
		return 2, fmt.Errorf("unknown kind of suite %q: want go, cargo or one", kind)
	}
	start := time.Now()
	got, err := runSuite(c, command, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stdout, "FAILED %s: %v\n", suite, err)
	}
	if err := appendLine(file, line{suite, got, time.Since(start)}); err != nil {
		return 2, err
	}
	if got.failed > 0 {
		return 1, nil
	}
	return 0, nil
}

// runSuite runs the command and counts. The error says why the command itself failed; it is then
// already counted.
func runSuite(c counter, command []string, stdout, stderr io.Writer) (counts, error) {
	//nolint:noctx // The suite has its own time limit; an interrupt reaches the whole process group.
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return counts{failed: 1}, err
	}
	if err = cmd.Start(); err != nil {
		return counts{failed: 1}, err
	}
	readErr := c.read(pipe, stdout)
	waitErr := cmd.Wait()
	got := c.counts()
	if _, one := c.(oneCounter); one && waitErr == nil {
		got.passed = 1
	}
	err = errors.Join(readErr, waitErr)
	if err != nil && got.failed == 0 {
		got.failed = 1
	}
	return got, err
}

// oneCounter passes everything on and leaves the verdict to the exit status.
type oneCounter struct{}

func (oneCounter) read(output io.Reader, show io.Writer) error {
	_, err := io.Copy(show, output)
	return err
}

func (oneCounter) counts() counts { return counts{} }
