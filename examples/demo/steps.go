package main

import (
	"strings"
	"syscall"
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// step is one thing that happens, from its beginning on.
type step struct {
	what  string
	at    time.Time
	marks []int // of the callers' journals, in their order
}

// drain lets one instance leave in order.
func (d *demo) drain() error {
	d.say.heading("(a) An instance is told to stop. It drains and leaves; no call may fail.")
	g := d.greeters["go-2"]
	s := d.begin("go-2 drained and left")
	d.say.line("demo", "sends SIGTERM to go-2")
	if err := g.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	seen, err := d.watch(s, func(c *fleet.Caller, mark int) (fleet.Event, error) {
		return c.AwaitInstance(d.ctx, mark, g.ID, fleet.BeganToDrain)
	})
	if err != nil {
		return err
	}
	status, err := g.Wait(d.ctx)
	if err != nil {
		return err
	}
	report, err := g.Said(d.ctx, "drained: ")
	d.expect(err == nil, "%v", err)
	d.say.line(g.ID, "%s", report)
	d.expect(strings.HasPrefix(report, "drained: 2/2 watchers confirmed"), "go-2 reported %q", report)
	d.say.line(g.ID, "has stopped, exit status %d", status)
	d.expect(status == 0, "go-2 exited with status %d:\n%s", status, g.Stderr())
	if err := d.awaitGone(s, g.ID, "DEREGISTERED"); err != nil {
		return err
	}
	if err := d.settle(sumsPerSecond / 2); err != nil {
		return err
	}
	calls := d.calls(s)
	d.expectFailed(calls, 0)
	d.add(s.what, seen, calls, 0)
	return nil
}

// awaitGone waits until each caller saw an instance go, and expects a reason.
func (d *demo) awaitGone(s *step, id, reason string) error {
	_, err := d.watch(s, func(c *fleet.Caller, mark int) (fleet.Event, error) {
		event, err := c.AwaitInstance(d.ctx, mark, id, fleet.Disappeared)
		d.expect(err != nil || event.Reason == reason,
			"%s saw %s disappear as %s, not %s", c.Name, id, event.Reason, reason)
		return event, err
	})
	return err
}

// kill ends one instance without warning.
func (d *demo) kill() error {
	// Each worker may have one call in flight at the kill, and begin one more
	// before the caller hears that the connection is gone.
	const most = 2 * callWorkers
	d.say.heading("(b) An instance is killed. Only calls in flight may fail, %d of each caller at most.", most)
	g := d.greeters["rust-2"]
	s := d.begin("rust-2 killed: last failed call")
	d.say.line("demo", "sends SIGKILL to rust-2")
	g.Kill()
	if err := d.awaitGone(s, g.ID, "EXPIRED"); err != nil {
		return err
	}
	gone, err := d.watch(s, func(c *fleet.Caller, mark int) (fleet.Event, error) {
		return c.AwaitInstance(d.ctx, mark, g.ID, fleet.Disappeared)
	})
	if err != nil {
		return err
	}
	if err := d.settle(1); err != nil {
		return err
	}
	calls := d.calls(s)
	d.expectFailed(calls, most)
	d.add(s.what, lastFailed(s, calls), calls, most)
	d.addSeen("rust-2 expired (lease of "+leaseTTL.String()+")", gone)
	return nil
}

// lastFailed is when the last call of each caller failed; 0 if none did.
func lastFailed(s *step, calls []fleet.Calls) []time.Duration {
	last := make([]time.Duration, len(calls))
	for i, c := range calls {
		for _, failure := range c.Failures {
			last[i] = max(last[i], failure.Time().Sub(s.at))
		}
	}
	return last
}

// upgrade starts the next version beside the present one.
func (d *demo) upgrade() error {
	d.say.heading("(d) A new version is started in both languages. Both callers find it.")
	s := d.begin("version 2.0.0 started")
	ids := []string{"go-3", "rust-3"}
	for _, id := range ids {
		d.say.line("demo", "starts %s, version 2.0.0", id)
		if err := d.startGreeter(id, "2.0.0"); err != nil {
			return err
		}
	}
	var seen []time.Duration
	for _, id := range ids {
		serving, err := d.watch(s, func(c *fleet.Caller, mark int) (fleet.Event, error) {
			return c.AwaitServing(d.ctx, mark, id)
		})
		if err != nil {
			return err
		}
		seen = latest(seen, serving)
		if _, err := d.watch(s, func(c *fleet.Caller, mark int) (fleet.Event, error) {
			return c.AwaitAnswer(d.ctx, mark, id)
		}); err != nil {
			return err
		}
	}
	for _, c := range d.callers {
		d.say.line(c.Name, "calls both")
	}
	if err := d.settle(sumsPerSecond / 2); err != nil {
		return err
	}
	calls := d.calls(s)
	d.expectFailed(calls, 0)
	d.add(s.what, seen, calls, 0)
	return nil
}

func latest(a, b []time.Duration) []time.Duration {
	if a == nil {
		return b
	}
	for i := range a {
		a[i] = max(a[i], b[i])
	}
	return a
}
