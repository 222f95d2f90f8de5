package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// judge runs the tests on mutants.
type judge struct {
	program *program
	schema  *schema
	options options
	folder  string
	binary  string
	groups  []*group
}

// group is a subtest of the first level.
type group struct {
	name string
	// steps that it takes without a mutant, at least, and at most twice that.
	steps uint64
	sites map[int]bool
}

// all gives every mutant its fate.
func (j *judge) all(mutants []*mutant) error {
	if err := j.prepare(); err != nil {
		return err
	}
	sites := make(map[*mutant][]int)
	for _, at := range j.schema.sites {
		for _, v := range at.variants {
			sites[v.mutant] = append(sites[v.mutant], at.number)
		}
	}
	waiting := make(chan *mutant)
	failures := make(chan error, j.options.parallel)
	var workers sync.WaitGroup
	for n := range max(j.options.parallel, 1) {
		workers.Go(func() {
			for m := range waiting {
				if err := j.one(m, sites[m], n); err != nil {
					failures <- fmt.Errorf("mutant %s: %w", m.describe(), err)
					return
				}
			}
		})
	}
	err := j.feed(mutants, waiting, failures)
	close(waiting)
	workers.Wait()
	return err
}

func (j *judge) feed(mutants []*mutant, waiting chan<- *mutant, failures <-chan error) error {
	for _, m := range mutants {
		if m.fate == impossible {
			continue
		}
		select {
		case waiting <- m:
		case err := <-failures:
			return err
		}
	}
	return nil
}

// one tries a mutant.
func (j *judge) one(m *mutant, sites []int, worker int) error {
	if m.alone {
		return j.alone(m, worker)
	}
	var names []string
	limit := uint64(1 << 16)
	for _, g := range j.groups {
		if slices.ContainsFunc(sites, func(n int) bool { return g.sites[n] }) {
			names = append(names, regexp.QuoteMeta(g.name))
			limit += 16 * g.steps
		}
	}
	if len(names) == 0 {
		m.fate = unreached
		return nil
	}
	only := "/^(" + strings.Join(names, "|") + ")$"
	if len(j.groups) == 1 && j.groups[0].name == "" {
		only = ""
	}
	passed, _, err := j.test(j.binary, only, fmt.Sprintf("MUTATE_MUTANT=%d", m.number), fmt.Sprintf("MUTATE_LIMIT=%d", limit))
	m.fate = fateOf(passed)
	return err
}

func fateOf(passed bool) fate {
	if passed {
		return survived
	}
	return killed
}

// alone compiles a mutant by itself.
func (j *judge) alone(m *mutant, worker int) error {
	binary := filepath.Join(j.folder, fmt.Sprint("alone", worker))
	built, err := j.build(binary, map[string][]byte{m.source.path: m.whole()})
	if err != nil || built != "" {
		m.fate = impossible
		return err
	}
	passed, _, err := j.test(binary, "")
	m.fate = fateOf(passed)
	return err
}

// build compiles the tests with other texts of files; what the compiler says is
// not empty if it fails.
func (j *judge) build(binary string, texts map[string][]byte) (said string, err error) {
	folder, err := os.MkdirTemp(j.folder, "overlay")
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for path, text := range texts {
		file := filepath.Join(folder, fmt.Sprint(len(replace), ".go"))
		if err = os.WriteFile(file, text, 0o600); err != nil {
			return "", err
		}
		replace[path] = file
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, "overlay.json")
	if err = os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	command := exec.CommandContext(context.Background(), "go", "test", "-vet=off", "-c", "-overlay", overlay, "-o", binary, j.program.testPath) //nolint:gosec // named on the command line
	output, err := command.CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return string(output) + " ", nil
	}
	return "", err
}

// prepare builds the schema and finds out what each group reaches.
func (j *judge) prepare() error {
	texts := map[string][]byte{filepath.Join(j.program.target.dir, runtimeFile): j.schema.runtime()}
	for _, t := range j.schema.texts() {
		texts[t.source.path] = t.text
	}
	j.binary = filepath.Join(j.folder, "schema")
	said, err := j.build(j.binary, texts)
	if err != nil || said != "" {
		return errors.Join(err, errors.New(said))
	}
	passed, output, err := j.test(j.binary, "", "MUTATE_LIMIT=18446744073709551615", "MUTATE_VERBOSE=1")
	if err != nil || !passed {
		return errors.Join(err, fmt.Errorf("the tests fail without a mutant: %s", output))
	}
	for _, name := range groupsIn(output, j.options.run) {
		g, err := j.reach(name)
		if err != nil {
			return err
		}
		j.groups = append(j.groups, g)
	}
	return nil
}

// groupsIn are the subtests of the first level that a verbose run names; one
// without name if there are none.
func groupsIn(output []byte, test string) []string {
	var names []string
	for line := range strings.Lines(string(output)) {
		rest, ok := strings.CutPrefix(line, "=== RUN   "+test+"/")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(rest), "/")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{""}
	}
	return names
}

func (j *judge) reach(name string) (*group, error) {
	g := &group{name: name, sites: make(map[int]bool)}
	path := filepath.Join(j.folder, "reach")
	only := ""
	if name != "" {
		only = "/^" + regexp.QuoteMeta(name) + "$"
	}
	passed, output, err := j.test(j.binary, only, "MUTATE_REACH="+path)
	if err != nil || !passed {
		return nil, errors.Join(err, fmt.Errorf("the tests of %s fail without a mutant: %s", name, output))
	}
	content, err := os.ReadFile(path) //nolint:gosec // a folder of its own
	if errors.Is(err, os.ErrNotExist) {
		return g, nil
	}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		var n int
		if read, _ := fmt.Sscanf(lines.Text(), "site %d", &n); read == 1 {
			g.sites[n] = true
		} else if _, err = fmt.Sscanf(lines.Text(), "steps %d", &g.steps); err != nil {
			return nil, err
		}
	}
	return g, err
}

// test runs the tests.
func (j *judge) test(binary, only string, environment ...string) (passed bool, output []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), j.options.limit)
	defer cancel()
	args := []string{"-test.failfast", "-test.run=^" + j.options.run + "$" + only}
	if slices.Contains(environment, "MUTATE_VERBOSE=1") {
		args = append(args, "-test.v")
	}
	command := exec.CommandContext(ctx, binary, args...) //nolint:gosec // built above
	command.Dir = j.program.testDir
	command.Env = append(os.Environ(), environment...)
	output, err = command.CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return false, output, nil
	}
	return err == nil, output, err
}
