package main

import (
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// outage is how long the demo is without a registry.
const outage = 2 * time.Second

// restart kills the registry server, lets everybody go on without it, and
// starts it again.
func (d *demo) restart() error {
	d.say.heading("(c) The registry server is killed and restarted. Nobody may notice.")
	s := d.begin("server restarted after " + outage.String())
	d.say.line("demo", "sends SIGKILL to the server")
	d.server.Kill()
	if err := d.settle(int(outage.Seconds() * sumsPerSecond)); err != nil {
		return err
	}
	for i, calls := range d.calls(s) {
		d.say.line(d.callers[i].Name, "made %d calls without a registry, %d failed", calls.Made(), calls.Failed)
		d.expect(calls.OK > 0, "%s made no call without a registry", d.callers[i].Name)
	}
	restarted := time.Now()
	d.say.since(restarted)
	d.say.line("demo", "starts the server again, on the same folder and port")
	if err := d.server.Restart(d.ctx); err != nil {
		return err
	}
	var seen []time.Duration
	for i, c := range d.callers {
		event, err := c.AwaitUpdated(d.ctx, s.marks[i], restarted)
		if err != nil {
			return err
		}
		d.say.event(c.Name, event, "has its view confirmed by the registry again")
		seen = append(seen, event.UpdatedTo().Sub(restarted))
	}
	// A lease that nobody renewed would be gone after its TTL.
	d.say.line("demo", "waits whether somebody is dropped")
	if err := d.settle(int((leaseTTL + time.Second).Seconds() * sumsPerSecond)); err != nil {
		return err
	}
	d.expectUnmoved(s)
	calls := d.calls(s)
	d.expectFailed(calls, 0)
	d.add(s.what, seen, calls, 0)
	return nil
}

// expectUnmoved wants that no caller saw an instance go or register anew.
func (d *demo) expectUnmoved(s *step) {
	for i, c := range d.callers {
		moved := false
		for _, event := range c.Journal.Since(s.marks[i]) {
			if event.Event == fleet.EventInstance {
				moved = true
				d.expect(false, "%s saw %s %s (%s)", c.Name, event.ID, event.Change, event)
			}
		}
		if !moved {
			d.say.line(c.Name, "saw nobody leave")
		}
	}
	for _, id := range []string{"go-1", "rust-1"} {
		d.expectActive(id)
	}
}

// expectActive wants that an instance holds the lease that it began with.
func (d *demo) expectActive(id string) {
	var first, last fleet.Event
	for _, event := range d.greeters[id].Journal.Since(0) {
		if event.Event != fleet.EventRegistration || event.Incarnation == 0 {
			continue
		}
		if first.Incarnation == 0 {
			first = event
		}
		last = event
	}
	kept := last.State == "ACTIVE" && last.Incarnation == first.Incarnation
	d.expect(kept, "%s does not hold its first lease: first %s, last %s", id, first, last)
	if kept {
		d.say.line(id, "still holds its first lease")
	}
}
