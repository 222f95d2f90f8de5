package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/muster-registry/muster/conformance/harness/play"
	"github.com/muster-registry/muster/conformance/harness/scenario"
	"github.com/muster-registry/muster/conformance/harness/stage"
)

// row is one scenario in all languages.
type row struct {
	scenario *scenario.Scenario
	skipped  string
	outcomes map[string]play.Outcome
}

// results are all rows, in the order of the files.
type results struct {
	rows []*row
	dir  string
}

// runAll plays all scenarios that are asked for, several at the same time.
func runAll(ctx context.Context, c *config, list []*scenario.Scenario) (*results, error) {
	dir, err := stage.NewFolder(c.keep)
	if err != nil {
		return nil, err
	}
	r := &results{dir: dir}
	var (
		tasks sync.WaitGroup
		mu    sync.Mutex
		slots = make(chan struct{}, c.parallel)
	)
	for _, s := range list {
		if !c.pattern.MatchString(s.Name) {
			continue
		}
		line := &row{scenario: s, outcomes: map[string]play.Outcome{}, skipped: c.lacks(s)}
		r.rows = append(r.rows, line)
		if line.skipped != "" {
			continue
		}
		for _, language := range c.languages {
			slots <- struct{}{}
			tasks.Go(func() {
				defer func() { <-slots }()
				o := playOne(ctx, c, s, language, dir)
				mu.Lock()
				defer mu.Unlock()
				line.outcomes[language] = o
			})
		}
	}
	tasks.Wait()
	if len(r.rows) == 0 {
		return nil, fmt.Errorf("no scenario in %s matches %q", c.scenarios, c.pattern)
	}
	if !c.keep {
		err = os.RemoveAll(dir)
	}
	return r, err
}

// lacks says why a scenario cannot be played with this registry, empty if it
// can.
func (c *config) lacks(s *scenario.Scenario) string {
	for _, need := range s.Needs {
		if !c.can[need] {
			return "needs " + need
		}
	}
	return ""
}

var printing sync.Mutex

func playOne(ctx context.Context, c *config, s *scenario.Scenario, language, dir string) play.Outcome {
	verbose := func(string, ...any) {}
	if c.verbose {
		verbose = func(format string, args ...any) {
			printing.Lock()
			defer printing.Unlock()
			fmt.Printf("%s %s: %s\n", s.Name, language, fmt.Sprintf(format, args...))
		}
	}
	programs := stage.Programs{Registry: c.registry, InMemory: c.inMemory, Testee: c.testees[language]}
	return play.Play(ctx, s, programs, filepath.Join(dir, s.Name+"-"+language), verbose)
}
