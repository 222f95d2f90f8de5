// Command harness plays the scenarios of conformance/scenarios against a real
// registry in each language, compares what the languages showed, and prints a
// table. conformance/README.md tells the language and how to join.
//
//	harness [-run REGEXP] [-lang go,rust] [-v] [-keep]
//
// The exit status is 0 if everything passed with equal traces, 1 if not, 2 if
// it was called wrongly or a scenario cannot be read.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/muster-registry/muster/conformance/harness/scenario"
	"github.com/muster-registry/muster/conformance/harness/stage"
)

// config is what the flags say.
type config struct {
	pattern   *regexp.Regexp
	languages []string
	testees   map[string][]string
	registry  string
	inMemory  bool
	can       map[string]bool
	scenarios string
	parallel  int
	verbose   bool
	keep      bool
	suite     string // what the tally calls this run
	tally     string
}

func main() {
	stage.PrivateMounts()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := flags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	list, err := scenario.Load(c.scenarios)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	began := time.Now()
	r, err := runAll(ctx, c, list)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if !r.print(os.Stdout, c, time.Since(began)) {
		os.Exit(1)
	}
}

// registries are the known registries: their program, and what they can do.
var registries = map[string]struct {
	program string
	can     []string
	memory  bool
}{
	"muster":     {"muster", []string{"durable"}, false},
	"mustertest": {"registry-go", nil, true},
	"testing":    {"registry-rust", nil, true},
}

func flags(args []string) (*config, error) {
	c := &config{testees: map[string][]string{}, can: map[string]bool{}}
	f := flag.NewFlagSet("harness", flag.ContinueOnError)
	run := f.String("run", "", "play only scenarios whose name matches this regular expression")
	languages := f.String("lang", "go,rust", "languages, separated by commas")
	registry := f.String("registry", "muster", "muster, or mustertest or testing: the registries for tests in memory")
	bin := f.String("bin", "bin", "folder of the programs: muster, testee-go, testee-rust")
	f.StringVar(&c.scenarios, "scenarios", "conformance/scenarios", "folder of the scenarios")
	f.IntVar(&c.parallel, "parallel", 12, "how many are played at the same time")
	f.BoolVar(&c.verbose, "v", false, "tell every step; best with -run and -parallel 1")
	f.BoolVar(&c.keep, "keep", false, "keep the folders of all scenarios, and print where they are")
	f.StringVar(&c.tally, "tally", "", "add the counts to this file, as tools/tally does")
	f.Func("testee", "LANGUAGE=PROGRAM: a testee of another language", func(text string) error {
		language, program, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("want LANGUAGE=PROGRAM")
		}
		c.testees[language] = strings.Fields(program)
		return nil
	})
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%s means nothing here; see -help", f.Arg(0))
	}
	var err error
	if c.pattern, err = regexp.Compile(*run); err != nil {
		return nil, err
	}
	c.languages = strings.Split(*languages, ",")
	return c, c.programs(*bin, *registry)
}

// programs finds all that is to be run. The error says how to build it.
func (c *config) programs(bin, registry string) error {
	known, found := registries[registry]
	if !found {
		return fmt.Errorf("no registry is named %q; known are muster, mustertest and testing", registry)
	}
	for _, ability := range known.can {
		c.can[ability] = true
	}
	c.can["root"] = stage.CanMount()
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	c.registry, c.inMemory = filepath.Join(bin, known.program), known.memory
	c.suite = "scenarios"
	if registry != "muster" {
		c.suite += " on " + registry
	}
	all := []string{c.registry}
	for _, language := range c.languages {
		if c.testees[language] == nil {
			c.testees[language] = []string{filepath.Join(bin, "testee-"+language)}
		}
		all = append(all, c.testees[language][0])
	}
	for _, program := range all {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("a program is missing: %w; scripts/build.sh conformance builds it", err)
		}
	}
	return nil
}
