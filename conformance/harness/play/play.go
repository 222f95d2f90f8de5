// Package play plays scenarios: each on a stage of its own for each language,
// and compares what the languages showed.
package play

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/muster-registry/muster/conformance/harness/scenario"
	"github.com/muster-registry/muster/conformance/harness/stage"
	"github.com/muster-registry/muster/conformance/harness/trace"
)

// usualWait is how long a statement without "within" may take.
const usualWait = 20 * time.Second

// Seen is what one step showed, as it is compared between languages.
type Seen struct {
	// Line of the step.
	Line int
	// What it showed; empty if the step shows nothing.
	What string
}

// Outcome is how one scenario went in one language.
type Outcome struct {
	// Err is what failed; nil if nothing did.
	Err error
	// Trace is what was seen, step by step.
	Trace []Seen
	// Logs are the ends of the processes' logs, if something failed.
	Logs string
	// Took is how long it took.
	Took time.Duration
}

// player plays one scenario in one language.
type player struct {
	ctx      context.Context //nolint:containedctx // that of the whole scenario
	stage    *stage.Stage
	trace    []Seen
	open     []uint64 // commands whose answers nobody looked at yet, oldest first
	last     *trace.Event
	ignored  map[string]map[string]bool
	began    time.Time
	stepTime time.Time
	verbose  func(format string, args ...any)
}

// Play plays a scenario. dir is a new folder for it; verbose is called with
// what goes on.
func Play(ctx context.Context, s *scenario.Scenario, programs stage.Programs, dir string, verbose func(string, ...any)) Outcome {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, fmt.Errorf("the scenario took longer than %s", s.Timeout))
	defer cancel()
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return Outcome{Err: err}
	}
	st, err := stage.New(programs, dir)
	if err != nil {
		return Outcome{Err: err}
	}
	defer st.Close()
	p := &player{ctx: ctx, stage: st, ignored: map[string]map[string]bool{}, began: began, verbose: verbose}
	err = p.all(s) //nolint:contextcheck // the player holds that of the scenario
	o := Outcome{Err: err, Trace: p.trace, Took: time.Since(began)}
	if err != nil {
		o.Logs = st.Logs()
	}
	return o
}

func (p *player) all(s *scenario.Scenario) error {
	p.stepTime = time.Now()
	for i := range s.Steps {
		step := &s.Steps[i]
		p.verbose("%5dms  line %d: %s", time.Since(p.began).Milliseconds(), step.Line, step.Text)
		shown, err := p.step(step)
		if err != nil {
			return fmt.Errorf("line %d: %s: %w", step.Line, step.Text, err)
		}
		if took := time.Since(p.stepTime); took < step.Least {
			return fmt.Errorf("line %d: %s: it came true after %s, before it may", step.Line, step.Text, took.Round(time.Millisecond))
		}
		p.stepTime = time.Now()
		if shown != "" {
			p.verbose("         %s", shown)
			p.trace = append(p.trace, Seen{step.Line, shown})
		}
	}
	return p.finish()
}

// finish looks for what nobody expected, and lets the testee end.
func (p *player) finish() error {
	if p.stage.Testee == nil {
		return nil
	}
	if len(p.open) > 0 {
		return errors.New("at the end: the answer of a command sent by >& was not looked at")
	}
	for name, events := range p.stage.Testee.Left() {
		for _, e := range events {
			if !p.skips(name)(e) {
				return fmt.Errorf("at the end: channel %s showed what nobody expected: %s", name, e)
			}
		}
	}
	return p.stage.EndTestee()
}

func (p *player) step(s *scenario.Step) (string, error) {
	switch s.Kind {
	case scenario.Command, scenario.Send:
		return p.command(s)
	case scenario.Repeat:
		return p.repeat(s)
	case scenario.Answer:
		return p.answer(s)
	case scenario.Expect:
		return p.expect(s)
	default:
		return "", p.act(s)
	}
}

// deadline is until when a step must come true.
func (p *player) deadline(s *scenario.Step) time.Time {
	if s.Most > 0 {
		return p.stepTime.Add(s.Most)
	}
	return time.Now().Add(usualWait)
}

// await waits for a change until a deadline. The error says that there is none.
func (p *player) await(changed <-chan struct{}, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-changed:
		return nil
	case <-timer.C:
		return errTimeout
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

var errTimeout = errors.New("it did not come true in time")

// resolve puts values in place of names.
func (p *player) resolve(text string) string { return p.stage.Names.Resolve(text) }

func (p *player) resolveAll(list []string) []string {
	var all []string
	for _, text := range list {
		all = append(all, ranged(p.resolve(text))...)
	}
	return all
}

// ranged writes shop/pay/i[1..40] out as forty words; any other word is itself.
func ranged(text string) []string {
	begin, rest, opened := strings.Cut(text, "[")
	bounds, end, closed := strings.Cut(rest, "]")
	first, last, isRange := strings.Cut(bounds, "..")
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	if !opened || !closed || !isRange || errFrom != nil || errTo != nil {
		return []string{text}
	}
	var all []string
	for n := from; n <= to; n++ {
		all = append(all, begin+strconv.Itoa(n)+end)
	}
	return all
}

func (p *player) resolveOptions(options map[string]string) map[string]string {
	all := make(map[string]string, len(options))
	for name, value := range options {
		all[name] = p.resolve(value)
	}
	return all
}

// skips tells which events of a channel are ignored.
func (p *player) skips(channel string) func(trace.Event) bool {
	kinds := p.ignored[channel]
	return func(e trace.Event) bool { return kinds[e.Kind] || kinds["all"] }
}

// Difference says where two traces of one scenario differ, empty if nowhere.
func Difference(a, b []Seen) string {
	var all strings.Builder
	for i := range max(len(a), len(b)) {
		var x, y Seen
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			fmt.Fprintf(&all, "    line %d: %s\n    line %d: %s\n", x.Line, x.What, y.Line, y.What)
		}
	}
	return all.String()
}
