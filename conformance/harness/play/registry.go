package play

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/muster-registry/muster/conformance/harness/scenario"
	"github.com/muster-registry/muster/conformance/harness/trace"
)

// drainWait is how long a drain without timeout may take.
const drainWait = 5 * time.Second

// registry carries out what the harness' own hand does.
func (p *player) registry(args []string, s *scenario.Step) error {
	actor, err := p.stage.Actor()
	if err != nil {
		return err
	}
	options := p.resolveOptions(s.Options)
	switch key := args[1]; args[0] {
	case "register":
		return actor.Register(p.ctx, key, options)
	case "update":
		return actor.Update(p.ctx, key, options)
	case "deregister":
		return actor.Deregister(p.ctx, key)
	case "expire":
		return actor.Expire(key)
	case "break":
		return actor.Break(key)
	case "drain":
		wait := drainWait
		if text := options["timeout"]; text != "" {
			if wait, err = time.ParseDuration(text); err != nil {
				return err
			}
		}
		return actor.Drain(key, wait)
	case "drained":
		ctx, cancel := context.WithDeadline(p.ctx, p.deadline(s))
		defer cancel()
		report, err := actor.Drained(ctx, key)
		if err != nil {
			return err
		}
		return sameOptions(report, options)
	default:
		return p.look(args, s)
	}
}

// sameOptions compares a report with what is wanted of it.
func sameOptions(got, want map[string]string) error {
	for name, value := range want {
		if got[name] != value {
			return fmt.Errorf("%s is %q, not %q; it was %v", name, got[name], value, got)
		}
	}
	return nil
}

// look waits until the registry has what is told.
func (p *player) look(args []string, s *scenario.Step) error {
	actor, err := p.stage.Actor()
	if err != nil {
		return err
	}
	if args[0] == "count" {
		return p.until(s, func(ctx context.Context) (string, error) {
			n, wrong := actor.Count(ctx, args[1])
			if strconv.Itoa(n) != args[2] {
				return fmt.Sprintf("the registry has %d", n), wrong
			}
			return "", wrong
		})
	}
	key, demands, err := trace.ParseInstance(args[1])
	if err != nil {
		return err
	}
	return p.until(s, func(ctx context.Context) (string, error) {
		fields, err := actor.Instance(ctx, key)
		switch {
		case err != nil:
			return "", err
		case args[0] == "lacks" && fields != nil:
			return fmt.Sprintf("the registry has it: %v", fields), nil
		case args[0] == "lacks":
			return "", nil
		case fields == nil:
			return "the registry lacks it", nil
		}
		return demands.Mismatch(fields, p.resolve), nil
	})
}
