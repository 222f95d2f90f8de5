// Command mutate changes a Go package in one place at a time and tells which
// changes no test notices:
//
//	mutate -dir client-go -test ./internal/rules/evaluate -run TestVectors internal/rules/*.go
//
// All mutants are compiled into one test binary, and a number in the environment
// says which of them lives: that makes a run of thousands take a minute or two.
// The files themselves stay as they are. Only those subtests of the first level
// run that reach the mutant's place, and one that takes many times the steps it
// takes without is stopped: it counts as killed, as does a panic. A mutant that
// cannot be chosen while running, such as the length of an array, is compiled by
// itself; what does not compile is no mutant.
//
// The mutants of a place are:
//
//   - a comparison becomes its neighbour and its opposite (< becomes <= and >=);
//   - && becomes ||, + becomes -, * becomes /, << becomes >>, & becomes |, ^
//     becomes &, % becomes *, and the other way around; += and ++ likewise;
//   - a condition of an if, a for or a case always holds, or never does;
//   - a case of a switch over values lacks one of them;
//   - ! is left out; true becomes false, and false true;
//   - a number or a character is one more; a text is empty, and an empty one is not;
//   - an assignment, a call whose results nobody takes, a break or a continue is
//     left out.
//
// It prints each survivor, a table by file, and the share that was killed. With
// -explained, a survivor that the file lists is no surprise, and one that it
// lists but that does not survive is. The exit status is 1 if there are
// surprises, or the score is below -min.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

// options are what the command line says.
type options struct {
	files      []string
	test, run  string
	limit      time.Duration
	every      int
	parallel   int
	minimum    int
	explained  string
	everything bool
}

func main() {
	var o options
	dir := flag.String("dir", ".", "the module's folder; files are relative to it")
	flag.StringVar(&o.test, "test", "./...", "the package whose tests judge")
	flag.StringVar(&o.run, "run", "", "the name of the test that judges")
	flag.DurationVar(&o.limit, "limit", time.Minute, "how long a mutant may take at most, whatever its steps")
	flag.IntVar(&o.every, "every", 1, "try every so manieth mutant only: a sample, in a fraction of the time")
	flag.IntVar(&o.parallel, "parallel", 1, "how many mutants run at a time")
	flag.IntVar(&o.minimum, "min", 0, "the lowest score that is a success, in percent")
	flag.StringVar(&o.explained, "explained", "", "a file that explains survivors, in the form in which they are printed; relative to -dir")
	flag.BoolVar(&o.everything, "everything", false, "print every mutant and what became of it")
	flag.Parse()
	o.files = flag.Args()
	if err := os.Chdir(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	report, err := mutate(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !report.write(os.Stdout, o) {
		os.Exit(1)
	}
}

// mutate does all but printing.
func mutate(o options) (*report, error) {
	explained, err := readExplained(o.explained)
	if err != nil {
		return nil, err
	}
	p, err := load(o.files, o.test)
	if err != nil {
		return nil, err
	}
	mutants := sample(p.mutants(), o.every)
	s, err := p.schemaOf(mutants)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a folder of its own
	j := &judge{program: p, schema: s, options: o, folder: folder}
	if err := j.all(mutants); err != nil {
		return nil, err
	}
	return &report{mutants, explained}, nil
}

// sample keeps every so manieth.
func sample(all []*mutant, every int) []*mutant {
	var kept []*mutant
	for n, m := range all {
		if (n+1)%max(every, 1) == 0 {
			kept = append(kept, m)
		}
	}
	return kept
}
