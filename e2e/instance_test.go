package e2e

import (
	"fmt"
	"regexp"
	"syscall"
	"testing"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// An instance that is killed costs calls in flight at most, and is seen to have
// expired, never to have left by choice.
func TestE2EInstanceKilled(t *testing.T) {
	t.Parallel()
	for _, language := range fleet.Languages() {
		t.Run(string(language), func(t *testing.T) {
			in := install(t)
			in.greeter(language.Other(), fleet.GreeterOptions{ID: "stays"})
			killed := in.greeter(language, fleet.GreeterOptions{ID: "killed", TTL: shortTTL})
			in.call(fleet.Languages(), "stays", "killed")
			from := in.now()
			killed.Kill()
			in.awaitGone(from, "killed", "EXPIRED")
			in.settle(1)
			// Each worker may have a call in flight, and begin one more before the
			// end of the connection arrives.
			in.wantCalls(from, 2*workers)
		})
	}
}

// Of two processes with one id the older gives up for good, and says who holds
// the id now.
func TestE2EDuplicateID(t *testing.T) {
	t.Parallel()
	for _, language := range fleet.Languages() {
		t.Run(string(language)+" is older", func(t *testing.T) {
			in := install(t)
			older := in.greeter(language, fleet.GreeterOptions{ID: "twin", Name: "older", TTL: shortTTL})
			in.call(fleet.Languages(), "twin")
			from := in.now()
			older.ExpectEnd()
			newer := in.greeter(language.Other(), fleet.GreeterOptions{ID: "twin", Name: "newer", TTL: shortTTL})
			fenced, err := older.AwaitState(in.ctx, 0, "FENCED")
			in.check(err)
			held, err := newer.AwaitState(in.ctx, 0, "ACTIVE")
			in.check(err)
			if want := fmt.Sprintf("fenced by incarnation %d; giving up", held.Incarnation); fenced.Message != want {
				t.Errorf("the older one says %q, not %q", fenced.Message, want)
			}
			in.settle(1)
			for i, seen := range in.awaitServing(from, "twin") {
				if seen.Incarnation <= fenced.Incarnation {
					t.Errorf("%s saw incarnation %d; the older one had %d", in.callers[i].Name, seen.Incarnation, fenced.Incarnation)
				}
			}
			in.wantFirstLease(newer)
		})
	}
}

// expired is what a process says that was not running.
var expired = regexp.MustCompile(
	`^lease [0-9a-zA-Z]{4} expired \S+ ago while this process was not running; re-registered as [0-9a-zA-Z]{4} \[LEASE_EXPIRED\]$`)

// A process that did not run for longer than its TTL expires, and registers
// again by itself when it runs again.
func TestE2EInstancePaused(t *testing.T) {
	t.Parallel()
	for _, language := range fleet.Languages() {
		t.Run(string(language), func(t *testing.T) {
			in := install(t)
			in.greeter(language.Other(), fleet.GreeterOptions{ID: "stays"})
			paused := in.greeter(language, fleet.GreeterOptions{ID: "paused", TTL: shortTTL})
			in.call(fleet.Languages(), "stays", "paused")
			first, err := paused.AwaitState(in.ctx, 0, "ACTIVE")
			in.check(err)

			from := in.now()
			in.check(paused.Signal(syscall.SIGSTOP))
			in.awaitGone(from, "paused", "EXPIRED")
			from, mark := in.now(), paused.Journal.Mark()
			in.check(paused.Signal(syscall.SIGCONT))
			again, err := paused.AwaitState(in.ctx, mark, "ACTIVE")
			in.check(err)
			if again.Incarnation <= first.Incarnation {
				t.Errorf("registered again as incarnation %d after %d", again.Incarnation, first.Incarnation)
			}
			in.awaitServing(from, "paused")
			said, err := paused.Said(in.ctx, "lease ")
			in.check(err)
			if !expired.MatchString(said) {
				t.Errorf("it says %q", said)
			}
		})
	}
}
