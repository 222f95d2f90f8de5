package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// goCounter counts tests and subtests. A test with subtests is only their frame and does not count
// itself, unless it failed and none of them did.
type goCounter struct {
	tests map[testName]*testState
	// output of the packages outside any test, kept until they end.
	loose map[string]*strings.Builder
	// build holds the compiler's messages by import path.
	build map[string]*strings.Builder
	// broken counts packages that failed without a failed test: they do not build, or they died.
	broken int
}

type testName struct{ pkg, test string }

type testState struct {
	ended  string // pass, fail, skip; empty while it runs
	parent bool   // has subtests
	// childFailed says that a subtest at any depth failed and so already counts.
	childFailed bool
	output      strings.Builder
}

func newGoCounter() *goCounter {
	return &goCounter{
		tests: map[testName]*testState{},
		loose: map[string]*strings.Builder{},
		build: map[string]*strings.Builder{},
	}
}

func (c *goCounter) read(output io.Reader, show io.Writer) error {
	lines := bufio.NewReader(output)
	for {
		text, err := lines.ReadBytes('\n')
		if len(text) > 0 {
			var e event
			if text[0] != '{' || json.Unmarshal(text, &e) != nil {
				_, _ = show.Write(text)
			} else {
				c.take(e, show)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *goCounter) take(e event, show io.Writer) {
	switch {
	case e.Action == "build-output":
		builder(c.build, e.ImportPath).WriteString(e.Output)
	case e.Action == "build-fail":
		fmt.Fprint(show, builder(c.build, e.ImportPath).String())
	case e.Test != "":
		c.takeTest(e)
	case e.Action == "output":
		builder(c.loose, e.Package).WriteString(e.Output)
	case e.Action == "pass" || e.Action == "fail":
		c.endPackage(e, show)
	}
}

func (c *goCounter) takeTest(e event) {
	state := c.state(testName{e.Package, e.Test})
	switch e.Action {
	case "run":
		for _, frame := range c.frames(testName{e.Package, e.Test}) {
			frame.parent = true
		}
	case "output":
		state.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		state.ended = e.Action
		if e.Action != "fail" {
			state.output.Reset() // A passed test's output is of no use to anyone.
		}
	}
}

func (c *goCounter) endPackage(e event, show io.Writer) {
	failed, count := c.failures(e.Package)
	if e.Action == "fail" && len(failed) == 0 {
		c.broken++
	}
	for _, test := range failed {
		fmt.Fprint(show, c.tests[testName{e.Package, test}].output.String())
	}
	if e.Action == "fail" {
		fmt.Fprint(show, builder(c.loose, e.Package).String())
	}
	delete(c.loose, e.Package)
	if count > 0 || e.Action == "fail" {
		fmt.Fprintf(show, "%-4s %-60s %5d tests %8.2f s\n", e.Action, e.Package, count, e.Elapsed)
	}
}

// failures names the tests of a package that count as failed, and says how many count at all. A
// test that never ended took the package down with it, or was running when another one did.
func (c *goCounter) failures(pkg string) (failed []string, count int) {
	for name, state := range c.tests {
		if name.pkg != pkg {
			continue
		}
		if state.ended == "" {
			state.ended = "fail"
		}
		if state.ended == "fail" {
			for _, frame := range c.frames(name) {
				frame.childFailed = true
			}
		}
	}
	for name, state := range c.tests {
		if name.pkg == pkg && state.counts() {
			count++
			if state.ended == "fail" {
				failed = append(failed, name.test)
			}
		}
	}
	sort.Strings(failed)
	return failed, count
}

// frames finds the tests around a subtest. They run before it, and a slash may also stand in the
// subtest's own name, so only what has been seen is one.
func (c *goCounter) frames(name testName) []*testState {
	var around []*testState
	for i := strings.LastIndexByte(name.test, '/'); i > 0; i = strings.LastIndexByte(name.test[:i], '/') {
		if state := c.tests[testName{name.pkg, name.test[:i]}]; state != nil {
			around = append(around, state)
		}
	}
	return around
}

// counts says whether a test counts by itself; only meaningful once its package has ended.
func (s *testState) counts() bool {
	return !s.parent || (s.ended == "fail" && !s.childFailed)
}

func (c *goCounter) counts() counts {
	got := counts{failed: c.broken}
	for _, state := range c.tests {
		if !state.counts() {
			continue
		}
		switch state.ended {
		case "pass":
			got.passed++
		case "skip":
			got.skipped++
		default:
			got.failed++
		}
	}
	return got
}

func (c *goCounter) state(name testName) *testState {
	state := c.tests[name]
	if state == nil {
		state = &testState{}
		c.tests[name] = state
	}
	return state
}

func builder(m map[string]*strings.Builder, key string) *strings.Builder {
	b := m[key]
	if b == nil {
		b = &strings.Builder{}
		m[key] = b
	}
	return b
}
