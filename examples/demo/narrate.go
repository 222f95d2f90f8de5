package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// narrator tells what happens, line by line. It is safe for concurrent use.
type narrator struct {
	out   io.Writer
	begun time.Time

	mu sync.Mutex
	// acted is when the demo did what callers now see; zero before it did.
	acted time.Time
	// told is what was last told of each process by an event.
	told map[string]string
	// silent: the play is over.
	silent bool
}

func newNarrator(out io.Writer) *narrator {
	return &narrator{out: out, begun: time.Now(), told: map[string]string{}}
}

// end silences it: processes that are ended have much to tell.
func (n *narrator) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = true
}

func (n *narrator) heading(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, "\n%s\n", fmt.Sprintf(format, args...))
}

// line tells what somebody does, now.
func (n *narrator) line(who, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lineLocked(time.Now(), who, fmt.Sprintf(format, args...))
}

// event tells of something at the time that its event says.
func (n *narrator) event(who string, e fleet.Event, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lineLocked(e.Time(), who, fmt.Sprintf(format, args...))
}

func (n *narrator) lineLocked(at time.Time, who, what string) {
	fmt.Fprintf(n.out, "  %6.3fs  %-11s  %s\n", at.Sub(n.begun).Seconds(), who, what)
}

// since sets the moment that later events are told relative to. Before the
// first, events are not told at all.
func (n *narrator) since(at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.acted = at
}

// notice tells of what callers see and of registrations, but not the same
// twice in a row.
func (n *narrator) notice(who string, e fleet.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what := describe(e)
	if n.silent || n.acted.IsZero() || what == "" || what == n.told[who] {
		return
	}
	n.told[who] = what
	after := max(0, e.Time().Sub(n.acted))
	n.lineLocked(e.Time(), who, fmt.Sprintf("%-46s  after %s", what, short(after)))
}

// describe puts an event into words; empty if it is not worth telling.
func describe(e fleet.Event) string {
	switch {
	case e.Event == fleet.EventFailed:
		return fmt.Sprintf("call failed: %s %s", e.Code, e.Reason)
	case e.Event == fleet.EventFreshness:
		return fmt.Sprintf("its view is %s", e.To)
	case e.Event == fleet.EventRegistration && e.State != "DEREGISTERED":
		return "registration is " + e.State
	case e.Event != fleet.EventInstance:
		return ""
	case e.Change == fleet.BeganToDrain:
		return fmt.Sprintf("sees %s drain", e.ID)
	case e.Change == fleet.Disappeared:
		return fmt.Sprintf("sees %s gone: %s", e.ID, e.Reason)
	default:
		return fmt.Sprintf("sees %s %s, %s, version %s", e.ID, e.Lifecycle, e.Health, e.Version)
	}
}

// short writes a duration for people.
func short(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
