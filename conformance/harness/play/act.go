package play

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/muster-registry/muster/conformance/harness/scenario"
	"github.com/muster-registry/muster/conformance/harness/stage"
)

// lookPause is between looks at what comes true some time.
const lookPause = 20 * time.Millisecond

func isTimeout(err error) bool { return errors.Is(err, errTimeout) }

// act carries out a statement that is about anything but the testee's own
// words.
func (p *player) act(s *scenario.Step) error {
	args := p.resolveAll(s.Args)
	number := 1
	if len(args) > 0 && len(args[0]) == 1 && args[0] >= "1" && args[0] <= "9" {
		number, args = int(args[0][0]-'0'), args[1:]
	}
	switch s.Verb {
	case "pause":
		pause, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		if err = p.await(nil, time.Now().Add(pause)); isTimeout(err) {
			return nil
		}
		return err
	case "server":
		return p.server(number, args, s)
	case "proxy":
		return p.proxy(number, args, s)
	case "registry":
		return p.registry(args, s)
	case "backend":
		return p.backend(args, s)
	case "testee":
		return p.testee(args, s)
	case "tls":
		return p.tls(args)
	case "file":
		return p.file(args, s)
	case "disk":
		return p.stage.FillDisk(p.ctx, args[1])
	}
	return fmt.Errorf("%s is known to the language, but not to the harness", s.Verb)
}

func (p *player) server(number int, args []string, s *scenario.Step) error {
	if args[0] == "start" {
		flags := args[1:]
		for name, value := range s.Options {
			flags = append(flags, "--"+name, value)
		}
		return p.stage.StartServer(p.ctx, number, flags)
	}
	server, err := p.stage.Server(number)
	if err != nil {
		return err
	}
	switch args[0] {
	case "stop":
		return server.Stop()
	case "kill":
		server.Kill()
	case "restart":
		return errors.Join(server.Stop(), server.Start(p.ctx))
	case "pause":
		return server.Pause()
	case "continue":
		return server.Continue()
	case "save-history":
		return errors.Join(server.Stop(), server.SaveHistory(), server.Start(p.ctx))
	case "restore-history":
		return errors.Join(server.Stop(), server.RestoreHistory(), server.Start(p.ctx))
	case "lose-history":
		return errors.Join(server.Stop(), server.LoseHistory(), server.Start(p.ctx))
	}
	return nil
}

func (p *player) backend(args []string, s *scenario.Step) error {
	if args[0] == "start" {
		return p.stage.StartBackend(args[1])
	}
	b, err := p.stage.Backend(args[1])
	switch {
	case err != nil:
		return err
	case args[0] == "kill":
		b.Kill()
	case args[0] == "connections":
		return p.until(s, func(context.Context) (string, error) {
			return wrong(within(b.Connections(), args[2], "connections were accepted")), nil
		})
	default:
		b.Stop()
	}
	return nil
}

func wrong(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// tls makes the files that clients and proxies with TLS read.
func (p *player) tls(args []string) error {
	switch args[0] {
	case "make":
		return stage.MakeTLS(p.stage.Dir)
	case "renew":
		return stage.RenewTLS(p.stage.Dir)
	default:
		return stage.StrangersTLS(p.stage.Dir)
	}
}

func (p *player) testee(args []string, s *scenario.Step) error {
	if args[0] == "env" {
		var list []string
		for name, value := range s.Options {
			list = append(list, strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+p.resolve(value))
		}
		p.stage.SetEnvironment(list)
		return nil
	}
	if p.stage.Testee == nil {
		return errors.New("the testee does not run: it starts with the first command")
	}
	switch args[0] {
	case "says":
		return p.says(args[1], s)
	case "stop":
		return p.stage.Testee.Stop()
	case "continue":
		return p.stage.Testee.Continue()
	case "kill":
		p.stage.KillTestee()
	case "restart":
		return p.stage.EndTestee()
	}
	p.open, p.last = nil, nil
	return nil
}

// says waits until a line of the testee's standard error, where its log goes,
// matches.
func (p *player) says(pattern string, s *scenario.Step) error {
	expression, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	return p.until(s, func(context.Context) (string, error) {
		text, err := os.ReadFile(filepath.Join(p.stage.Dir, stage.TesteeLog))
		if err == nil && !expression.Match(text) {
			return "no line of its log matches", nil
		}
		return "", err
	})
}

// until looks again and again whether something is so.
func (p *player) until(s *scenario.Step, look func(context.Context) (string, error)) error {
	deadline := p.deadline(s)
	for {
		ctx, cancel := context.WithDeadline(p.ctx, deadline)
		wrong, err := look(ctx)
		cancel()
		if err == nil && wrong == "" {
			return nil
		}
		if time.Now().Add(lookPause).After(deadline) {
			return errors.Join(err, fmt.Errorf("%w: %s", errTimeout, wrong))
		}
		if err = p.await(nil, time.Now().Add(lookPause)); !isTimeout(err) {
			return err
		}
	}
}
