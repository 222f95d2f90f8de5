package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

const (
	// testLimit bounds one test.
	testLimit = 50 * time.Second
	// shortTTL is a lease that expires while a test can wait for it.
	shortTTL = 3 * time.Second
	// workers are those of each caller: it has so many calls in flight at most.
	workers = 4
)

// installation is a registry server and whatever a test adds to it. What goes
// wrong in it ends the test.
type installation struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // the fleet's, for the time of one test
	fleet   *fleet.Fleet
	server  *fleet.Server
	callers []*fleet.Caller
}

// newFleet makes an empty fleet that ends with the test.
func newFleet(t *testing.T) *fleet.Fleet {
	t.Helper()
	bin := os.Getenv("MUSTER_BIN_DIR")
	if bin == "" {
		t.Fatal("MUSTER_BIN_DIR is not set: run \"make test-e2e\", which builds the programs and sets it")
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), testLimit,
		fmt.Errorf("the test takes longer than %s", testLimit))
	f, err := fleet.New(ctx, bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the processes said last:\n%s", f.Report())
		}
		f.Close()
		cancel()
	})
	return f
}

// install starts a registry server.
func install(t *testing.T) *installation {
	t.Helper()
	t.Parallel()
	f := newFleet(t)
	in := &installation{t: t, ctx: f.Context, fleet: f}
	server, err := f.StartServer(in.ctx, t.TempDir())
	in.check(err)
	in.server = server
	return in
}

func (in *installation) check(err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatal(err)
	}
}

// greeter starts a greeter and waits until it is registered.
func (in *installation) greeter(language fleet.Language, o fleet.GreeterOptions) *fleet.Greeter {
	in.t.Helper()
	g, err := in.fleet.StartGreeter(language, in.server.Address, o)
	in.check(err)
	_, err = g.AwaitState(in.ctx, 0, "ACTIVE")
	in.check(err)
	return g
}

// call starts a caller in each language given, and waits until each has had
// answers of these instances.
func (in *installation) call(languages []fleet.Language, ids ...string) {
	in.t.Helper()
	in.callWith(fleet.CallerOptions{Workers: workers}, languages, ids...)
}

// callWith is call with options.
func (in *installation) callWith(o fleet.CallerOptions, languages []fleet.Language, ids ...string) {
	in.t.Helper()
	for _, language := range languages {
		c, err := in.fleet.StartCaller(language, in.server.Address, o)
		in.check(err)
		in.callers = append(in.callers, c)
	}
	for _, c := range in.callers {
		for _, id := range ids {
			_, err := c.AwaitAnswer(in.ctx, 0, id)
			in.check(err)
		}
	}
}

// moment is a place in the callers' journals.
type moment struct {
	time  time.Time
	marks []int
}

// now is the present moment, to look at what happens from here on.
func (in *installation) now() moment {
	m := moment{time: time.Now()}
	for _, c := range in.callers {
		m.marks = append(m.marks, c.Journal.Mark())
	}
	return m
}

// awaitGone waits until every caller sees an instance disappear, and wants that
// it does so for a reason.
func (in *installation) awaitGone(from moment, id, reason string) {
	in.t.Helper()
	for i, c := range in.callers {
		event, err := c.AwaitInstance(in.ctx, from.marks[i], id, fleet.Disappeared)
		in.check(err)
		if event.Reason != reason {
			in.t.Errorf("%s saw %s disappear as %s, not %s", c.Name, id, event.Reason, reason)
		}
	}
}

// awaitServing waits until every caller sees an instance as SERVING, and
// returns what each of them saw.
func (in *installation) awaitServing(from moment, id string) []fleet.Event {
	in.t.Helper()
	var seen []fleet.Event
	for i, c := range in.callers {
		event, err := c.AwaitServing(in.ctx, from.marks[i], id)
		in.check(err)
		seen = append(seen, event)
	}
	return seen
}

// settle waits until the callers have told of so many more tenths of a second.
func (in *installation) settle(tenths int) {
	in.t.Helper()
	in.check(fleet.Settle(in.ctx, in.callers, tenths))
}

// wantCalls wants that every caller made calls since a moment, and that at most
// so many of each failed.
func (in *installation) wantCalls(from moment, mayFail uint64) {
	in.t.Helper()
	for i, c := range in.callers {
		calls := c.Calls(from.marks[i])
		if calls.OK == 0 {
			in.t.Errorf("%s had no answer", c.Name)
		}
		if calls.Failed > mayFail {
			in.t.Errorf("%d of %d calls of %s failed, at most %d may:\n%s",
				calls.Failed, calls.Made(), c.Name, mayFail, calls.Why())
		}
	}
}

// wantNobodyMoved wants that no caller saw an instance change since a moment,
// nor had its view sent whole.
func (in *installation) wantNobodyMoved(from moment) {
	in.t.Helper()
	for i, c := range in.callers {
		for _, event := range c.Journal.Since(from.marks[i]) {
			if event.Event == fleet.EventInstance || event.Update == "SNAPSHOT" {
				in.t.Errorf("%s saw %s", c.Name, event)
			}
		}
	}
}

// wantFirstLease wants that a greeter is ACTIVE by the lease that it began with.
func (in *installation) wantFirstLease(g *fleet.Greeter) {
	in.t.Helper()
	var first, last fleet.Event
	for _, event := range g.Journal.Since(0) {
		switch {
		case event.Event != fleet.EventRegistration || event.Incarnation == 0:
		case first.Incarnation == 0:
			first, last = event, event
		default:
			last = event
		}
	}
	if last.State != "ACTIVE" || last.Incarnation != first.Incarnation {
		in.t.Errorf("%s does not hold its first lease:\nfirst %s\nlast  %s", g.Name, first, last)
	}
}
