package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// A server that is killed and restarted is noticed by nobody: calls go on, views
// are resumed without being sent again, leases live on.
func TestE2EServerKilled(t *testing.T) {
	in := install(t)
	wantRestartUnnoticed(in, in.server.Kill)
}

// A server that is stopped in order exits with 0, and is noticed as little.
func TestE2EServerTerminated(t *testing.T) {
	in := install(t)
	wantRestartUnnoticed(in, func() {
		in.check(in.server.Signal(syscall.SIGTERM))
		status, err := in.server.Wait(in.ctx)
		in.check(err)
		if status != 0 {
			t.Errorf("the server exited with status %d:\n%s", status, in.server.Stderr())
		}
	})
}

func wantRestartUnnoticed(in *installation, end func()) {
	in.t.Helper()
	greeters := []*fleet.Greeter{
		in.greeter(fleet.Go, fleet.GreeterOptions{ID: "go-1", TTL: shortTTL}),
		in.greeter(fleet.Rust, fleet.GreeterOptions{ID: "rust-1", TTL: shortTTL}),
	}
	in.call(fleet.Languages(), "go-1", "rust-1")
	from := in.now()
	end()
	in.settle(10)
	restarted := time.Now()
	in.check(in.server.Restart(in.ctx))
	for i, c := range in.callers {
		_, err := c.AwaitUpdated(in.ctx, from.marks[i], restarted)
		in.check(err)
	}
	// A lease that was not renewed would be gone one TTL later.
	in.settle(int((shortTTL + time.Second) / (100 * time.Millisecond)))
	in.wantNobodyMoved(from)
	in.wantCalls(from, 0)
	for _, g := range greeters {
		in.wantFirstLease(g)
	}
	// The streams do carry changes again.
	from = in.now()
	in.greeter(fleet.Go, fleet.GreeterOptions{ID: "later"})
	in.awaitServing(from, "later")
	in.wantGracefulEnd(greeters[0])
	in.wantGracefulEnd(greeters[1])
}

// Callers that begin without a registry wait for it.
func TestE2EServerLate(t *testing.T) {
	in := install(t)
	in.greeter(fleet.Go, fleet.GreeterOptions{ID: "go-1"})
	in.server.Kill()
	for _, language := range fleet.Languages() {
		c, err := in.fleet.StartCaller(language, in.server.Address, fleet.CallerOptions{Workers: workers})
		in.check(err)
		in.callers = append(in.callers, c)
	}
	in.check(in.server.Restart(in.ctx))
	in.awaitServing(moment{marks: []int{0, 0}}, "go-1")
	for _, c := range in.callers {
		_, err := c.AwaitAnswer(in.ctx, 0, "go-1")
		in.check(err)
	}
}
