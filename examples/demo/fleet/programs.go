package fleet

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Greeter is a process that offers the greeter service.
type Greeter struct {
	*Process
	// Language of the program.
	Language Language
	// ID of its instance.
	ID string
}

// GreeterOptions are the settings of a greeter; the zero value of each leaves
// it to the program.
type GreeterOptions struct {
	// ID of the instance.
	ID string
	// Version of the release.
	Version string
	// Zone where it says to run.
	Zone string
	// TTL of its lease.
	TTL time.Duration
	// Advertise is the address that it registers, in place of its listener's.
	Advertise string
	// Name of the process, if it is to differ from the ID.
	Name string
}

// StartGreeter starts a greeter and does not wait for it.
func (f *Fleet) StartGreeter(language Language, server string, o GreeterOptions) (*Greeter, error) {
	args := []string{"--servers", server, "--id", o.ID}
	if o.Version != "" {
		args = append(args, "--version", o.Version)
	}
	if o.Zone != "" {
		args = append(args, "--zone", o.Zone)
	}
	if o.TTL != 0 {
		args = append(args, "--ttl", strconv.FormatInt(o.TTL.Milliseconds(), 10)+"ms")
	}
	if o.Advertise != "" {
		args = append(args, "--advertise", o.Advertise)
	}
	name := o.Name
	if name == "" {
		name = o.ID
	}
	p, err := f.Start(name, "greeter-"+string(language), args...)
	return &Greeter{Process: p, Language: language, ID: o.ID}, err
}

// AwaitState waits until the registration's state is written from a mark on.
func (g *Greeter) AwaitState(ctx context.Context, mark int, state string) (Event, error) {
	return g.First(ctx, mark, "registration "+state, func(e Event) bool {
		return e.Event == EventRegistration && e.State == state
	})
}

// Caller is a process that calls the greeter service all the time.
type Caller struct {
	*Process
	// Language of the program.
	Language Language
}

// CallerOptions are the settings of a caller; the zero value of each leaves it
// to the program.
type CallerOptions struct {
	// Workers call at the same time.
	Workers int
	// Rate is calls per second of all workers together.
	Rate int
	// Greetings that each call asks for on a stream; 0 makes plain calls.
	Greetings int
}

// StartCaller starts a caller and does not wait for it.
func (f *Fleet) StartCaller(language Language, server string, o CallerOptions) (*Caller, error) {
	name := "caller-" + string(language)
	args := []string{"--servers", server, "--name", name}
	if o.Workers != 0 {
		args = append(args, "--workers", strconv.Itoa(o.Workers))
	}
	if o.Rate != 0 {
		args = append(args, "--rate", strconv.Itoa(o.Rate))
	}
	if o.Greetings != 0 {
		args = append(args, "--greetings", strconv.Itoa(o.Greetings))
	}
	p, err := f.Start(name, name, args...)
	return &Caller{Process: p, Language: language}, err
}

// AwaitInstance waits for a change of one instance in the caller's view.
func (c *Caller) AwaitInstance(ctx context.Context, mark int, id, change string) (Event, error) {
	return c.First(ctx, mark, fmt.Sprintf("instance %s %s", id, change), func(e Event) bool {
		return e.Event == EventInstance && e.ID == id && e.Change == change
	})
}

// AwaitServing waits until the caller sees the instance as SERVING and HEALTHY.
func (c *Caller) AwaitServing(ctx context.Context, mark int, id string) (Event, error) {
	return c.First(ctx, mark, "instance "+id+" SERVING and HEALTHY", func(e Event) bool {
		return e.Event == EventInstance && e.ID == id && e.Change != Disappeared &&
			e.Lifecycle == "SERVING" && e.Health == "HEALTHY"
	})
}

// AwaitAnswer waits until the instance answers calls.
func (c *Caller) AwaitAnswer(ctx context.Context, mark int, id string) (Event, error) {
	return c.First(ctx, mark, "an answer of "+id, func(e Event) bool {
		return e.Event == EventCalls && e.ByInstance[id] > 0
	})
}

// AwaitUpdated waits until the registry's word on the caller's view is newer
// than a moment.
func (c *Caller) AwaitUpdated(ctx context.Context, mark int, than time.Time) (Event, error) {
	return c.First(ctx, mark, "a view that the registry confirmed anew", func(e Event) bool {
		return e.Event == EventCalls && e.UpdatedTo().After(than)
	})
}

// AwaitCalls waits for n sums of calls from a mark on.
func (c *Caller) AwaitCalls(ctx context.Context, mark, n int) error {
	seen := 0
	_, err := c.First(ctx, mark, fmt.Sprintf("%d sums of calls", n), func(e Event) bool {
		if e.Event == EventCalls {
			seen++
		}
		return seen >= n
	})
	return err
}

// Settle lets callers go on until each has written n more sums of calls, all at
// the same time.
func Settle(ctx context.Context, callers []*Caller, n int) error {
	marks := make([]int, len(callers))
	for i, c := range callers {
		marks[i] = c.Journal.Mark()
	}
	for i, c := range callers {
		if err := c.AwaitCalls(ctx, marks[i], n); err != nil {
			return err
		}
	}
	return nil
}
