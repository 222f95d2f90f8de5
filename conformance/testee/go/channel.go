package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/muster-registry/muster/client-go/mustergrpc"
)

const (
	// echoMethod answers with the name of who serves it.
	echoMethod = "/conformance.Echo/Name"
	// callTimeout bounds a call without option timeout.
	callTimeout = 5 * time.Second
	// countsTimeout bounds how long loaded waits for counts.
	countsTimeout = 15 * time.Second
)

// channel is a gRPC channel, and the load on it.
type channel struct {
	conn *grpc.ClientConn

	mu         sync.Mutex
	stop       context.CancelFunc
	done       chan struct{}
	ok, failed int
	by         map[string]int
	last       answer
	counted    chan struct{}     // closed with the next count
	keys       map[string]string // which backend answered a key last
}

// openChannel makes a channel: channel NAME TARGET.
func (t *testee) openChannel(_ context.Context, c command) (answer, error) {
	cl, err := t.client(c)
	if err != nil {
		return nil, err
	}
	if len(c.Args) != 2 {
		return nil, errors.New("channel wants: channel NAME TARGET")
	}
	conn, err := mustergrpc.NewClient(cl.Client, c.Args[1])
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.channels[c.name()] = &channel{conn: conn, by: map[string]int{}, counted: make(chan struct{}), keys: map[string]string{}}
	return nil, nil
}

func (t *testee) channel(c command) (*channel, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.channels[c.name()] == nil {
		return nil, missing(c, "channel")
	}
	return t.channels[c.name()], nil
}

// echo makes one call, which is answered after a delay, and returns who
// answered.
func (g *channel) echo(ctx context.Context, delay string, options ...grpc.CallOption) (string, error) {
	var out wrapperspb.StringValue
	err := g.conn.Invoke(ctx, echoMethod, wrapperspb.String(delay), &out, options...)
	return out.GetValue(), err
}

// load begins to call all the time: load NAME [every=10ms] [timeout=].
func (t *testee) load(_ context.Context, c command) (answer, error) {
	g, err := t.channel(c)
	if err != nil {
		return nil, err
	}
	every := 10 * time.Millisecond
	if text, given := c.With["every"]; given {
		if every, err = time.ParseDuration(text); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stop != nil {
		cancel()
		return nil, errors.New("load: the channel is loaded already")
	}
	g.ok, g.failed, g.by, g.last = 0, 0, map[string]int{}, nil
	g.stop, g.done = cancel, make(chan struct{})
	go g.work(ctx, every, g.done) //nolint:contextcheck // it goes on after the command
	return nil, nil
}

// work calls one by one until ctx ends.
func (g *channel) work(ctx context.Context, every time.Duration, done chan struct{}) {
	defer close(done)
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		who, err := g.echo(callCtx, "")
		cancel()
		g.mu.Lock()
		if err != nil {
			g.failed++
			g.last = errorFields(&callError{err})
		} else {
			g.ok++
			g.by[who]++
		}
		close(g.counted)
		g.counted = make(chan struct{})
		g.mu.Unlock()
	}
}

// loaded ends the load and tells how it went: loaded NAME [by.BACKEND=N]. It
// waits until the backends have answered so many calls since counting began, a
// while at most. With keep=yes the load goes on, counting anew.
func (t *testee) loaded(ctx context.Context, c command) (answer, error) {
	g, err := t.channel(c)
	if err != nil {
		return nil, err
	}
	if err = g.awaitCounts(ctx, c); err != nil {
		return nil, err
	}
	if c.With["keep"] != "yes" {
		g.unload()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	a := answer{"about": answer{"ok": g.ok, "failed": g.failed, "by": counts(g.by), "last": g.last}}
	g.ok, g.failed, g.by, g.last = 0, 0, map[string]int{}, nil
	return a, nil
}

func (g *channel) awaitCounts(ctx context.Context, c command) error {
	ctx, cancel := context.WithTimeout(ctx, countsTimeout)
	defer cancel()
	for {
		g.mu.Lock()
		enough, err := g.counts(c)
		counted := g.counted
		g.mu.Unlock()
		if enough || err != nil {
			return err
		}
		select {
		case <-counted:
		case <-ctx.Done():
			return nil // the counts tell what is missing
		}
	}
}

// counts tells whether all backends answered as often as a command wants.
func (g *channel) counts(c command) (enough bool, err error) {
	enough = true
	for option := range c.With {
		who, is := strings.CutPrefix(option, "by.")
		if !is {
			continue
		}
		least, err := count(c, option, 0)
		if err != nil {
			return false, err
		}
		enough = enough && g.by[who] >= least
	}
	return enough, nil
}

func (g *channel) unload() {
	g.mu.Lock()
	stop, done := g.stop, g.done
	g.stop = nil
	g.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

// hangup closes a channel: hangup NAME.
func (t *testee) hangup(_ context.Context, c command) (answer, error) {
	g, err := t.channel(c)
	if err == nil {
		g.close()
	}
	return nil, err
}

func (g *channel) close() {
	g.unload()
	_ = g.conn.Close()
}
