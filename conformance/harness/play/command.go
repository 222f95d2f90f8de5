package play

import (
	"context"
	"fmt"
	"time"

	"github.com/muster-registry/muster/conformance/harness/scenario"
	"github.com/muster-registry/muster/conformance/harness/stage"
	"github.com/muster-registry/muster/conformance/harness/trace"
)

// command sends a command to the testee, and waits for its answer unless it is
// sent only.
func (p *player) command(s *scenario.Step) (string, error) {
	id, err := p.send(s)
	if err != nil {
		return "", err
	}
	if s.Kind == scenario.Send {
		p.open = append(p.open, id)
		return "", nil
	}
	e, err := p.answered(id, p.deadline(s))
	if err != nil {
		return "", err
	}
	return p.matched(e, s.Pattern)
}

// repeat sends a command until its answer is what is wanted.
func (p *player) repeat(s *scenario.Step) (string, error) {
	var (
		last     trace.Event
		mismatch error
	)
	err := p.until(s, func(ctx context.Context) (string, error) {
		id, err := p.send(s)
		if err != nil {
			return "", err
		}
		deadline, _ := ctx.Deadline()
		if last, err = p.answered(id, deadline); err != nil {
			return wrong(mismatch), err
		}
		_, mismatch = p.matched(last, s.Pattern)
		return wrong(mismatch), nil
	})
	return p.stage.Names.Canonical(s.Pattern.Named(last), s.Pattern.NamesText()), err
}

func (p *player) send(s *scenario.Step) (uint64, error) {
	if err := p.stage.NeedTestee(); err != nil {
		return 0, err
	}
	with := p.resolveOptions(s.Options)
	_, given := with["servers"]
	if s.Verb == "client" && !given && with["env"] == "" {
		with["servers"] = p.stage.DefaultServers()
	}
	return p.stage.Testee.Send(stage.Command{Do: s.Verb, Client: s.Channel, Args: p.resolveAll(s.Args), With: with})
}

// answer looks at the oldest answer that nobody looked at, or at the last one
// again.
func (p *player) answer(s *scenario.Step) (string, error) {
	if len(p.open) > 0 {
		id := p.open[0]
		p.open = p.open[1:]
		e, err := p.answered(id, p.deadline(s))
		if err != nil {
			return "", err
		}
		return p.matched(e, s.Pattern)
	}
	if p.last == nil {
		return "", fmt.Errorf("there was no answer before this line")
	}
	return p.matched(*p.last, s.Pattern)
}

// answered waits for an answer.
func (p *player) answered(id uint64, deadline time.Time) (trace.Event, error) {
	for {
		e, found, changed, err := p.stage.Testee.Answer(id)
		if err != nil {
			return trace.Event{}, err
		}
		if found {
			p.last = &e
			return e, nil
		}
		if err = p.await(changed, deadline); err != nil {
			return trace.Event{}, fmt.Errorf("no answer: %w", err)
		}
	}
}

// matched compares an event or an answer and writes it down.
func (p *player) matched(e trace.Event, pattern trace.Pattern) (string, error) {
	shown := p.stage.Names.Canonical(e, pattern.NamesText())
	if wrong := pattern.Mismatch(e, p.resolve); wrong != "" {
		return "", fmt.Errorf("%s\n    it was: %s\n    text: %s", wrong, shown, e.Fields["about.text"])
	}
	return shown, nil
}

// expect looks at what a channel shows.
func (p *player) expect(s *scenario.Step) (string, error) {
	if s.Verb == "ignore" {
		p.ignore(s.Channel, s.Args)
		return "", nil
	}
	if p.stage.Testee == nil {
		return "", fmt.Errorf("the testee does not run")
	}
	switch s.Verb {
	case "quiet":
		return "", p.quiet(s)
	case "reaches":
		return p.reaches(s)
	}
	e, err := p.next(s.Channel, p.deadline(s))
	if err != nil {
		return "", err
	}
	return p.matched(e, s.Pattern)
}

func (p *player) ignore(channel string, kinds []string) {
	if p.ignored[channel] == nil {
		p.ignored[channel] = map[string]bool{}
	}
	if len(kinds) == 0 {
		kinds = []string{"all"}
	}
	for _, kind := range kinds {
		p.ignored[channel][kind] = true
	}
}

// next takes the next event of a channel.
func (p *player) next(channel string, deadline time.Time) (trace.Event, error) {
	for {
		e, _, changed, err := p.stage.Testee.Next(channel, p.skips(channel))
		if e != nil || err != nil && changed == nil {
			return deref(e), err
		}
		if err != nil {
			return trace.Event{}, err
		}
		if err = p.await(changed, deadline); err != nil {
			return trace.Event{}, fmt.Errorf("channel %s showed nothing: %w", channel, err)
		}
	}
}

func deref(e *trace.Event) trace.Event {
	if e == nil {
		return trace.Event{}
	}
	return *e
}

// quiet waits and fails if the channel shows anything meanwhile.
func (p *player) quiet(s *scenario.Step) error {
	e, err := p.next(s.Channel, time.Now().Add(s.Pause))
	if err == nil {
		return fmt.Errorf("channel %s was to be quiet, but showed: %s", s.Channel, e)
	}
	if p.ctx.Err() != nil || !isTimeout(err) {
		return err
	}
	return nil
}

// reaches takes events until they add up to what is wanted.
func (p *player) reaches(s *scenario.Step) (string, error) {
	deadline := p.deadline(s)
	for {
		e, state, changed, err := p.stage.Testee.Next(s.Channel, p.skips(s.Channel))
		if err != nil && e == nil {
			return "", err
		}
		if state.Events > 0 && s.Pattern.Mismatch(state.Now(), p.resolve) == "" {
			return p.stage.Names.Canonical(s.Pattern.Named(state.Now()), s.Pattern.NamesText()), nil
		}
		if e != nil {
			continue
		}
		if err = p.await(changed, deadline); err != nil {
			return "", fmt.Errorf("%w: %s\n    the state was: %s\n    text: %s", err, s.Pattern.Mismatch(state.Now(), p.resolve),
				p.stage.Names.Canonical(state.Now(), false), state.Now().Fields["about.text"])
		}
	}
}
