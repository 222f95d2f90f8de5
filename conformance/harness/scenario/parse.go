package scenario

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muster-registry/muster/conformance/harness/trace"
)

// Load reads every *.scenario of a folder, sorted by name. All errors of all
// files are joined, each an *Error.
func Load(dir string) ([]*Scenario, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.scenario"))
	if err != nil {
		return nil, err
	}
	var (
		list []*Scenario
		errs []error
	)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s, err := Parse(path, string(text))
		errs = append(errs, err)
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

// parser is the state of reading one file.
type parser struct {
	path     string
	s        *Scenario
	channels map[string]bool
	errs     []error
}

// Parse reads one file. The error joins one *Error for each wrong line.
func Parse(path, text string) (*Scenario, error) {
	p := &parser{
		path:     path,
		s:        &Scenario{Name: strings.TrimSuffix(filepath.Base(path), ".scenario"), Timeout: DefaultTimeout},
		channels: map[string]bool{},
	}
	lines, number := bufio.NewScanner(strings.NewReader(text)), 0
	for lines.Scan() {
		number++
		line := strings.TrimSpace(lines.Text())
		if comment, is := strings.CutPrefix(line, "#"); is && len(p.s.Steps) == 0 {
			p.s.About = append(p.s.About, strings.TrimSpace(comment))
		}
		p.line(number, line)
	}
	if len(p.s.About) == 0 {
		p.fail(1, "the first line must be a comment that says what this is about")
	}
	return p.s, errors.Join(append(p.errs, lines.Err())...)
}

func (p *parser) fail(line int, format string, args ...any) {
	p.errs = append(p.errs, &Error{Path: p.path, Line: line, Problem: fmt.Sprintf(format, args...)})
}

func (p *parser) line(number int, text string) {
	list, err := words(text)
	if err != nil {
		p.fail(number, "%s", err)
		return
	}
	if len(list) == 0 {
		return
	}
	step := Step{Line: number, Text: text}
	if list[0] == "within" {
		if list, err = step.within(list[1:]); err != nil {
			p.fail(number, "%s", err)
			return
		}
	}
	if err = p.statement(&step, list); err != nil {
		p.fail(number, "%s", err)
	}
}

// within reads "3s" or "1s..3s" and returns what follows.
func (s *Step) within(list []string) ([]string, error) {
	if len(list) < 2 {
		return nil, errors.New(`"within" needs a time and a statement: within 3s s1 delta +shop/pay/a`)
	}
	least, most, isRange := strings.Cut(list[0], "..")
	if !isRange {
		least, most = "0s", list[0]
	}
	var errLeast, errMost error
	s.Least, errLeast = time.ParseDuration(least)
	s.Most, errMost = time.ParseDuration(most)
	return list[1:], errors.Join(errLeast, errMost)
}

// statement reads one statement into the step and keeps it.
func (p *parser) statement(step *Step, list []string) error {
	var err error
	first, rest := list[0], list[1:]
	switch {
	case first == "needs":
		p.s.Needs = append(p.s.Needs, rest...)
		return nil
	case first == "timeout":
		if len(rest) != 1 {
			return errors.New("timeout needs one duration: timeout 90s")
		}
		p.s.Timeout, err = time.ParseDuration(rest[0])
		return err
	case first == ">" || first == ">&" || first == ">~":
		err = p.command(step, first, rest)
	case first == "=":
		step.Kind = Answer
		step.Pattern, err = trace.ParseAnswer(rest)
	case acts[first] != nil:
		step.Kind, step.Verb = Act, first
		step.Args, step.Options = split(rest)
		err = acts[first].check(first, step.Args, step.Options)
	case p.channels[first]:
		err = expectation(step, first, rest)
	default:
		err = fmt.Errorf("%q is neither a statement nor the name of something that a command made before; see conformance/README.md", first)
	}
	p.s.Steps = append(p.s.Steps, *step)
	return err
}

// signs are what a command may begin with.
var signs = map[string]Kind{">": Command, ">&": Send, ">~": Repeat}

// command reads "[CLIENT:] VERB ARGS [! REASON ...]", after ">~" also
// "[CLIENT:] VERB ARGS = PATTERN".
func (p *parser) command(step *Step, sign string, rest []string) error {
	if len(rest) == 0 {
		return errors.New("> needs a command for the testee")
	}
	step.Kind = signs[sign]
	if name, is := strings.CutSuffix(rest[0], ":"); is && len(rest) > 1 {
		step.Channel, rest = name, rest[1:]
	}
	command, expected := parted(rest, step.Kind)
	switch {
	case len(command) == 0:
		return errors.New("> needs a command for the testee")
	case step.Kind == Send && expected != nil:
		return errors.New(">& does not wait for an answer; expect the error in a line = ! REASON")
	case step.Kind == Repeat && expected == nil:
		return errors.New(">~ repeats a command until its answer is as wanted, which it names: >~ call g = by=a")
	}
	step.Verb = command[0]
	step.Args, step.Options = split(command[1:])
	if len(step.Args) > 0 {
		p.channels[step.Args[0]] = true
	}
	var err error
	step.Pattern, err = trace.ParseAnswer(expected)
	return err
}

// parted cuts the words of a command from what is expected of its answer; nil
// if nothing is.
func parted(list []string, kind Kind) (command, expected []string) {
	for i, w := range list {
		switch {
		case w == "!":
			return list[:i], list[i:]
		case w == "=" && kind == Repeat:
			return list[:i], append([]string{"ok"}, list[i+1:]...)
		}
	}
	return list, nil
}

// expectation reads what a channel is to show.
func expectation(step *Step, channel string, rest []string) error {
	step.Kind, step.Channel = Expect, channel
	if len(rest) == 0 {
		return fmt.Errorf("what is %s to show? such as: %s snapshot FIRST +shop/pay/a", channel, channel)
	}
	var err error
	step.Verb = rest[0]
	switch rest[0] {
	case "quiet":
		if len(rest) != 2 {
			return errors.New("quiet needs one duration: s1 quiet 500ms")
		}
		step.Pause, err = time.ParseDuration(rest[1])
	case "ignore":
		step.Args = rest[1:]
	case "reaches":
		step.Pattern, err = trace.ParseState(rest[1:])
	default:
		step.Verb = "event"
		step.Pattern, err = trace.ParseEvent(rest)
	}
	return err
}
