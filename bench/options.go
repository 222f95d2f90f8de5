package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/muster-registry/muster/bench/drive"
	"github.com/muster-registry/muster/bench/etcd"
	"github.com/muster-registry/muster/bench/limit"
	"github.com/muster-registry/muster/bench/muster"
	"github.com/muster-registry/muster/bench/report"
	"github.com/muster-registry/muster/bench/results"
	"github.com/muster-registry/muster/bench/section"
)

// options are what the command line says.
type options struct {
	quick    bool
	sections []section.Section
	reps     int
	json     string
	results  string
	dir      string
	program  string
	without  []string
	settings map[string]string
}

func parse(args []string) (*options, error) {
	o := &options{settings: map[string]string{}}
	var names, without string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "small sizes and short measurements")
	flags.StringVar(&names, "section", "", "sections to run, joined by commas (all)")
	flags.StringVar(&without, "without", "", "servers to leave out, joined by commas, such as etcd")
	flags.IntVar(&o.reps, "reps", 3, "repetitions of each measurement")
	flags.StringVar(&o.json, "json", "", "file for the figures (none)")
	flags.StringVar(&o.results, "results", "", "folder for RESULTS.md and its charts (none); only a run of all sections writes them")
	flags.StringVar(&o.dir, "dir", "out", "directory on the disk to measure, for the servers' data")
	flags.StringVar(&o.program, "muster", "../bin/muster", "the muster program")
	flags.Func("flag", "setting of every Muster server, name=value, such as pprof=127.0.0.1:6060; may be repeated", o.setting)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is neither a flag nor a server's role", flags.Arg(0))
	}
	if o.reps < 1 {
		return nil, fmt.Errorf("-reps %d: at least 1 repetition is needed", o.reps)
	}
	o.without = strings.Split(without, ",")
	var err error
	o.sections, err = choose(names)
	return o, err
}

func (o *options) setting(text string) error {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return fmt.Errorf("%q is not name=value", text)
	}
	o.settings[name] = value
	return nil
}

func choose(names string) ([]section.Section, error) {
	all := section.All()
	if names == "" {
		return all, nil
	}
	var chosen []section.Section
	for name := range strings.SplitSeq(names, ",") {
		before := len(chosen)
		for _, s := range all {
			if s.Name == name {
				chosen = append(chosen, s)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("no section is named %q; those that are: %s", name, known(all))
		}
	}
	return chosen, nil
}

func known(all []section.Section) string {
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// targets are the servers under test, in the order in which they are measured.
func (o *options) targets() []drive.Target {
	var chosen []drive.Target
	for _, t := range []drive.Target{limit.Target{}, muster.Target{Program: o.program, Flags: o.settings}, etcd.Target{}} {
		if !slices.Contains(o.without, t.Name()) {
			chosen = append(chosen, t)
		}
	}
	return chosen
}

// The clients share the machine with the server under test: what they spend on
// garbage, it lacks. Their heap is small, so that it may grow.
const (
	clientGCPercent   = 400
	clientMemoryLimit = 6 << 30
)

// measure runs the sections. One that fails does not keep the others from
// running.
func (o *options) measure(ctx context.Context) (err error) {
	debug.SetGCPercent(clientGCPercent)
	debug.SetMemoryLimit(clientMemoryLimit)
	if err = os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", o.dir, err)
	}
	dir, err := os.MkdirTemp(o.dir, "run-")
	if err != nil {
		return fmt.Errorf("make a directory for the servers' data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	r := &section.Run{
		Quick: o.quick, Reps: o.reps, Dir: dir, Program: o.program, Targets: o.targets(),
		Report: report.New(), Log: os.Stderr,
	}
	describe(r.Report, o.reps)
	if o.quick {
		r.Report.Note("this was a quick run: sizes are smaller than what the targets are named for")
	}
	start := time.Now()
	err = o.sectionsOf(ctx, r)
	r.Report.Set("run_s", time.Since(start).Seconds())
	if writeErr := r.Report.WriteTable(os.Stdout); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	if o.json != "" {
		err = errors.Join(err, r.Report.WriteJSON(o.json))
	}
	if o.results != "" && len(o.sections) == len(section.All()) {
		err = errors.Join(err, results.Write(r.Report, o.results))
	}
	return err
}

func (o *options) sectionsOf(ctx context.Context, r *section.Run) error {
	noise := section.Section{Name: "noise", What: "the machine itself", Measure: section.Noise}
	sections := slices.Concat([]section.Section{noise}, o.sections, []section.Section{noise})
	var failed error
	for _, s := range sections {
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err(), r.CloseShared())
		}
		start := time.Now()
		fmt.Fprintf(r.Log, "%s: %s\n", s.Name, s.What)
		if err := s.Measure(ctx, r); err != nil {
			fmt.Fprintf(r.Log, "  FAILED: %v\n", err)
			failed = errors.Join(failed, fmt.Errorf("section %s: %w", s.Name, err))
		}
		took := time.Since(start).Seconds()
		r.Report.Set("time_"+s.Name+"_s", took)
		fmt.Fprintf(r.Log, "  %.1f s\n", took)
	}
	return errors.Join(failed, r.CloseShared())
}
