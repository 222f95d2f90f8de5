package main

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"github.com/muster-registry/muster/client-go/mustergrpc"
)

// call makes a call: call NAME [timeout=] [wait=yes] [delay=] [hash=] [pin=],
// waiting for readiness, answered after a delay, by the hash of a key, to one
// instance. With times=N it makes so many, one after the other; with keys=N
// one with each of so many keys. The first error is the answer.
func (t *testee) call(ctx context.Context, c command) (answer, error) {
	g, err := t.channel(c)
	if err != nil {
		return nil, err
	}
	times, err := count(c, "times", 1)
	if err != nil {
		return nil, err
	}
	keys, err := count(c, "keys", 0)
	if err != nil {
		return nil, err
	}
	began, who, moved, by := time.Now(), "", 0, map[string]int{}
	for n := range max(times, keys) {
		key := c.With["hash"]
		if keys > 0 {
			key = "key " + strconv.Itoa(n)
		}
		if who, err = g.callOnce(ctx, c, key); err != nil {
			return nil, err
		}
		by[who]++
		if before := g.answeredKey(key, who); before != "" && before != who {
			moved++
		}
	}
	about := answer{"by": who, "took_ms": time.Since(began).Milliseconds(), "backends": len(by), "moved": moved}
	if max(times, keys) > 1 {
		about["by"] = counts(by)
	}
	return answer{"about": about}, nil
}

// answeredKey notes who answered a key, and returns who did before.
func (g *channel) answeredKey(key, who string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.keys[key]
	if key != "" {
		g.keys[key] = who
	}
	return before
}

func (g *channel) callOnce(ctx context.Context, c command, key string) (string, error) {
	if _, given := c.With["timeout"]; !given {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	ctx, cancel, err := timeout(ctx, c)
	if err != nil {
		return "", err
	}
	defer cancel()
	if key != "" {
		ctx = mustergrpc.WithHashKey(ctx, key)
	}
	if id, given := c.With["pin"]; given {
		ctx = mustergrpc.WithInstance(ctx, id)
	}
	who, err := g.echo(ctx, c.With["delay"], grpc.WaitForReady(c.With["wait"] == "yes"))
	if err != nil {
		return "", &callError{err}
	}
	return who, nil
}

// count is an option that is a number.
func count(c command, option string, otherwise int) (int, error) {
	text, given := c.With[option]
	if !given {
		return otherwise, nil
	}
	return strconv.Atoi(text)
}

func counts(by map[string]int) answer {
	a := answer{}
	for who, n := range by {
		a[who] = strconv.Itoa(n)
	}
	return a
}

// explain tells why a channel picks which instances: explain NAME. It is a look
// at a moment, so that nearly all of it is under "about".
func (t *testee) explain(_ context.Context, c command) (answer, error) {
	g, err := t.channel(c)
	if err != nil {
		return nil, err
	}
	e := mustergrpc.ExplainPick(g.conn)
	if e == nil {
		return nil, missing(c, "open channel")
	}
	var list []answer
	for _, i := range e.Instances {
		list = append(list, answer{"key": e.Service.String() + "/" + i.ID, "about": answer{
			"address": i.Address, "step": i.Step, "weight": strconv.FormatUint(i.Weight, 10),
			"state": i.State, "in_flight": strconv.FormatUint(i.InFlight, 10), "failed": i.Failure != "", "failure": i.Failure,
		}})
	}
	about := answer{"panicking": e.Panicking, "healthy": e.Healthy, "total": e.Total, "text": e.String()}
	if e.Err != nil {
		about["error"] = errorFields(e.Err)
	}
	return answer{"service": e.Service.String(), "instances": list, "about": about}, nil
}
