package e2e

import (
	"syscall"
	"testing"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// Every pair of languages: an instance appears, answers, drains without a failed
// call, and is gone by its own choice.
func TestE2ELanguages(t *testing.T) {
	t.Parallel()
	for _, offers := range fleet.Languages() {
		for _, calls := range fleet.Languages() {
			t.Run(string(offers)+" called by "+string(calls), func(t *testing.T) {
				in := install(t)
				in.greeter(offers, fleet.GreeterOptions{ID: "stays"})
				goes := in.greeter(offers, fleet.GreeterOptions{ID: "goes"})
				in.call([]fleet.Language{calls}, "stays", "goes")
				in.wantGracefulEnd(goes)
			})
		}
	}
}

// Streams end in full when their instance drains.
func TestE2EStreams(t *testing.T) {
	t.Parallel()
	for _, offers := range fleet.Languages() {
		calls := offers.Other()
		t.Run(string(offers)+" called by "+string(calls), func(t *testing.T) {
			in := install(t)
			in.greeter(offers, fleet.GreeterOptions{ID: "stays"})
			goes := in.greeter(offers, fleet.GreeterOptions{ID: "goes"})
			streams := fleet.CallerOptions{Workers: workers, Greetings: 100}
			in.callWith(streams, []fleet.Language{calls}, "stays", "goes")
			in.wantGracefulEnd(goes)
		})
	}
}

// wantGracefulEnd ends a greeter in order, under load.
func (in *installation) wantGracefulEnd(g *fleet.Greeter) {
	in.t.Helper()
	from := in.now()
	in.check(g.Signal(syscall.SIGTERM))
	for i, c := range in.callers {
		_, err := c.AwaitInstance(in.ctx, from.marks[i], g.ID, fleet.BeganToDrain)
		in.check(err)
	}
	status, err := g.Wait(in.ctx)
	in.check(err)
	if status != 0 {
		in.t.Errorf("%s exited with status %d:\n%s", g.Name, status, g.Stderr())
	}
	in.awaitGone(from, g.ID, "DEREGISTERED")
	in.settle(3)
	in.wantCalls(from, 0)
}

// A new version is found by both languages, and called.
func TestE2ENewVersion(t *testing.T) {
	in := install(t)
	in.greeter(fleet.Go, fleet.GreeterOptions{ID: "old", Version: "1.0.0"})
	in.call(fleet.Languages(), "old")
	from := in.now()
	in.greeter(fleet.Rust, fleet.GreeterOptions{ID: "new", Version: "2.0.0-rc.1"})
	for _, seen := range in.awaitServing(from, "new") {
		if seen.Version != "2.0.0-rc.1" {
			t.Errorf("the new instance was seen as %s", seen)
		}
	}
	for i, c := range in.callers {
		_, err := c.AwaitAnswer(in.ctx, from.marks[i], "new")
		in.check(err)
	}
	in.wantCalls(from, 0)
}
