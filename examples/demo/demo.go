package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

const (
	// leaseTTL is how long the registry waits for a silent instance. The default
	// is 15 s; the demo is impatient.
	leaseTTL = 4 * time.Second
	// callWorkers is how many calls one caller has in flight at most, callRate how
	// many it makes per second.
	callWorkers, callRate = 4, 200
	// serverAge is the age up to which a server counts with watchers that it has
	// not heard of yet, and a little more.
	serverAge = 5500 * time.Millisecond
	// sumsPerSecond is how many sums of calls a caller writes in a second.
	sumsPerSecond = 10
)

// demo is the installation and what was seen of it.
type demo struct {
	fleet    *fleet.Fleet
	ctx      context.Context //nolint:containedctx // the fleet's
	say      *narrator
	server   *fleet.Server
	greeters map[string]*fleet.Greeter
	callers  []*fleet.Caller // in the order of fleet.Languages
	rows     []row
	broken   []string // expectations that did not hold
}

func newDemo(f *fleet.Fleet, say *narrator) *demo {
	f.Notice = say.notice
	return &demo{fleet: f, ctx: f.Context, say: say, greeters: map[string]*fleet.Greeter{}}
}

// play goes through all steps. The error is for what makes going on senseless;
// what is merely not as promised is kept for verdict.
func (d *demo) play(folder string) error {
	for _, step := range []func() error{
		func() error { return d.setUp(folder) }, d.drain, d.kill, d.restart, d.upgrade,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// setUp starts everything and waits until every caller calls every instance.
func (d *demo) setUp(folder string) error {
	d.say.heading("A registry, two instances in Go and two in Rust, a caller in Go and one in Rust.")
	began := time.Now()
	server, err := d.fleet.StartServer(d.ctx, folder)
	if err != nil {
		return err
	}
	d.server = server
	d.say.line("server", "serves on %s", server.Address)
	ids := []string{"go-1", "go-2", "rust-1", "rust-2"}
	for _, id := range ids {
		if err := d.startGreeter(id, "1.0.0"); err != nil {
			return err
		}
	}
	for _, id := range ids {
		event, err := d.greeters[id].AwaitState(d.ctx, 0, "ACTIVE")
		if err != nil {
			return err
		}
		d.say.event(id, event, "is registered, version 1.0.0")
	}
	for _, language := range fleet.Languages() {
		options := fleet.CallerOptions{Workers: callWorkers, Rate: callRate}
		c, err := d.fleet.StartCaller(language, server.Address, options)
		if err != nil {
			return err
		}
		d.callers = append(d.callers, c)
	}
	for _, c := range d.callers {
		for _, id := range ids {
			if _, err := c.AwaitAnswer(d.ctx, 0, id); err != nil {
				return err
			}
		}
		d.say.line(c.Name, "calls all four, %d times per second", callRate)
	}
	return d.growOld(began)
}

// growOld lets the server become so old that drains wait only for callers that
// it knows: a server that was restarted may have had others.
func (d *demo) growOld(began time.Time) error {
	d.say.line("demo", "lets them call until the server is %s old", serverAge)
	left := serverAge - time.Since(began)
	return d.settle(max(1, int(left.Milliseconds()*sumsPerSecond/1000)))
}

func (d *demo) startGreeter(id, version string) error {
	language := fleet.Go
	if id[0] == 'r' {
		language = fleet.Rust
	}
	g, err := d.fleet.StartGreeter(language, d.server.Address, fleet.GreeterOptions{
		ID: id, Version: version, TTL: leaseTTL,
	})
	if err != nil {
		return err
	}
	d.greeters[id] = g
	return nil
}

// begin marks the beginning of a step: calls are counted and events looked for
// from here, and times are told relative to at.
func (d *demo) begin(what string) *step {
	s := &step{what: what, at: time.Now()}
	for _, c := range d.callers {
		s.marks = append(s.marks, c.Journal.Mark())
	}
	d.say.since(s.at)
	return s
}

// watch collects when each caller saw something that await waits for.
func (d *demo) watch(s *step, await func(c *fleet.Caller, mark int) (fleet.Event, error)) ([]time.Duration, error) {
	var seen []time.Duration
	for i, c := range d.callers {
		event, err := await(c, s.marks[i])
		if err != nil {
			return nil, err
		}
		seen = append(seen, event.Time().Sub(s.at))
	}
	return seen, nil
}

// settle lets the callers go on for a while, so that late failures are counted.
func (d *demo) settle(sums int) error {
	return fleet.Settle(d.ctx, d.callers, sums)
}

// calls are those that each caller made since the step began.
func (d *demo) calls(s *step) []fleet.Calls {
	calls := make([]fleet.Calls, len(d.callers))
	for i, c := range d.callers {
		calls[i] = c.Calls(s.marks[i])
	}
	return calls
}

// expect keeps what did not go as promised.
func (d *demo) expect(ok bool, format string, args ...any) {
	if ok {
		return
	}
	text := fmt.Sprintf(format, args...)
	d.broken = append(d.broken, text)
	d.say.line("demo", "NOT AS PROMISED: %s", text)
}

// expectFailed wants at most so many failed calls of each caller.
func (d *demo) expectFailed(calls []fleet.Calls, most uint64) {
	for i, c := range calls {
		d.expect(c.Failed <= most, "%d calls of %s failed, at most %d may:\n%s",
			c.Failed, d.callers[i].Name, most, c.Why())
	}
}

// verdict is nil if everything went as promised.
func (d *demo) verdict(out io.Writer) error {
	if len(d.broken) == 0 {
		fmt.Fprintln(out, "\nEverything went as promised.")
		return nil
	}
	return errors.New("not everything went as promised:\n  " + strings.Join(d.broken, "\n  "))
}
