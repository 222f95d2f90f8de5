// Command mutate changes Go files in one place at a time and tells which
// changes no test notices:
//
//	mutate -dir client-go -test ./internal/rules/evaluate -run TestVectors internal/rules/*.go
//
// A mutant reaches the compiler by an overlay, so the files themselves stay as
// they are. It prints each survivor and, last, the share that was killed. What
// does not compile is no mutant.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func main() {
	dir := flag.String("dir", ".", "the module's folder; files are relative to it")
	pkg := flag.String("test", "./...", "the package whose tests judge")
	run := flag.String("run", ".", "which of its tests")
	limit := flag.Duration("limit", time.Minute, "how long a mutant may take; one that takes longer is killed")
	every := flag.Int("every", 1, "try every so manieth mutant only: a sample, in a fraction of the time")
	flag.Parse()
	if err := os.Chdir(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	j := &judge{pkg: *pkg, run: *run, limit: *limit, every: max(*every, 1)}
	for _, file := range flag.Args() {
		if err := j.file(file); err != nil {
			fmt.Fprintln(os.Stderr, "mutate:", err)
			os.Exit(2)
		}
	}
	all := j.killed + j.survived
	fmt.Printf("%d mutants, %d killed, %d survived, score %d %%\n", all, j.killed, j.survived, 100*j.killed/max(all, 1))
}

// judge runs the tests on mutants and counts.
type judge struct {
	pkg, run         string
	limit            time.Duration
	killed, survived int
	// every is how many mutants stand for the one that is tried, seen how many there were.
	every, seen int
}

func (j *judge) file(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	source, err := os.ReadFile(path) //nolint:gosec // named on the command line
	if err != nil {
		return err
	}
	mutants, err := mutantsOf(path, source)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a folder of its own
	for _, m := range mutants {
		j.seen++
		if j.seen%j.every != 0 {
			continue
		}
		text := bytes.Join([][]byte{source[:m.from], []byte(m.text), source[m.to:]}, nil)
		verdict, err := j.try(folder, path, text)
		if err != nil {
			return err
		}
		switch verdict {
		case killed:
			j.killed++
		case survived:
			j.survived++
			fmt.Printf("survived: %s:%d: %q becomes %q\n", filepath.Base(path), m.line, source[m.from:m.to], m.text)
		}
	}
	return nil
}

type verdict int

const (
	killed verdict = iota
	survived
	noMutant
)

// try compiles and tests a file's mutant.
func (j *judge) try(folder, path string, text []byte) (verdict, error) {
	ctx, cancel := context.WithTimeout(context.Background(), j.limit)
	defer cancel()
	changed, overlay, binary := filepath.Join(folder, "mutant.go"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "test")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return noMutant, err
	}
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		return noMutant, err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return noMutant, err
	}
	if err := exec.CommandContext(ctx, "go", "test", "-vet=off", "-c", "-overlay", overlay, "-o", binary, j.pkg).Run(); err != nil { //nolint:gosec // named on the command line
		return noMutant, nil // it does not compile
	}
	test := exec.CommandContext(ctx, binary, "-test.run", j.run, "-test.failfast") //nolint:gosec // built above
	test.Dir = j.pkg
	if test.Run() != nil {
		return killed, nil
	}
	return survived, nil
}
