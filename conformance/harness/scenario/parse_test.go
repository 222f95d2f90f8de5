package scenario

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWordsAreSplitAtSpacesButNotInQuotes(t *testing.T) {
	for line, want := range map[string][]string{
		`a  b	c`:                {"a", "b", "c"},
		`text~"two words" x`:    {"text~two words", "x"},
		`text~"a \"b\" c"`:      {`text~a "b" c`},
		`a # the rest`:          {"a"},
		`a#b`:                   {"a#b"},
		`empty=""`:              {"empty="},
		`# nothing`:             nil,
		`+shop/pay/a{weight=2}`: {"+shop/pay/a{weight=2}"},
	} {
		got, err := words(line)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
	if _, err := words(`a "b`); err == nil {
		t.Error("a quote that is not closed was accepted")
	}
}

func parse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("x/name.scenario", "# about\n"+text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStatementsAreRead(t *testing.T) {
	s := parse(t, `# more
needs durable
timeout 90s
server 2 start history=10
> other: subscribe s1 shop/pay zone=a ! FORBIDDEN retryable=no
within 1s..3s s1 delta +shop/pay/a
s1 quiet 200ms
`)
	if s.Name != "name" || !cmp.Equal(s.About, []string{"about", "more"}) || s.Timeout != 90*time.Second || !cmp.Equal(s.Needs, []string{"durable"}) {
		t.Errorf("scenario %+v", s)
	}
	if len(s.Steps) != 4 {
		t.Fatalf("%d steps", len(s.Steps))
	}
	server, command, delta, quiet := s.Steps[0], s.Steps[1], s.Steps[2], s.Steps[3]
	if server.Kind != Act || server.Line != 5 || !cmp.Equal(server.Args, []string{"2", "start"}) || server.Options["history"] != "10" {
		t.Errorf("server: %+v", server)
	}
	if command.Kind != Command || command.Channel != "other" || command.Verb != "subscribe" || !cmp.Equal(command.Args, []string{"s1", "shop/pay"}) {
		t.Errorf("command: %+v", command)
	}
	if delta.Kind != Expect || delta.Verb != "event" || delta.Least != time.Second || delta.Most != 3*time.Second {
		t.Errorf("delta: %+v", delta)
	}
	if quiet.Verb != "quiet" || quiet.Pause != 200*time.Millisecond {
		t.Errorf("quiet: %+v", quiet)
	}
}

func TestCommandsAreSentUntilTheirAnswerIsSo(t *testing.T) {
	s := parse(t, `>~ other: call g times=3 = by.a=3
within 2s >~ call g ! NO_INSTANCES
`)
	call, failing := s.Steps[0], s.Steps[1]
	if call.Kind != Repeat || call.Channel != "other" || call.Verb != "call" || !cmp.Equal(call.Args, []string{"g"}) || call.Options["times"] != "3" {
		t.Errorf("call: %+v", call)
	}
	if failing.Kind != Repeat || failing.Most != 2*time.Second || !cmp.Equal(failing.Args, []string{"g"}) {
		t.Errorf("failing: %+v", failing)
	}
}

func TestWrongLinesAreNamed(t *testing.T) {
	for line, want := range map[string]string{
		"sevrer start":                        "neither a statement nor the name",
		"server":                              "server what?",
		"server dance":                        "unknown; one of",
		"server start colour=red":             "unknown option colour",
		"proxy delay":                         "takes 1 to 1 arguments",
		"disk full":                           "takes 1 to 1 arguments",
		"file shift-written cache/*":          "takes 2 to 2 arguments",
		"> ":                                  "needs a command",
		">& ready ! NO_SERVER":                "does not wait",
		">~ ready":                            "until its answer is as wanted",
		">~ = by=a":                           "needs a command",
		"within 3s":                           "needs a time and a statement",
		"within soon s1 delta":                "invalid duration",
		"s1 delta":                            "neither a statement",
		"> subscribe s1 x\ns1 dalta":          "no kind of event",
		"> subscribe s1 x\ns1":                "what is s1 to show",
		"> subscribe s1 x\ns1 quiet":          "one duration",
		"= +shop/pay/a{weight}":               "no condition",
		"= text~(":                            "missing closing",
		"> subscribe s1 x\ns1 delta nonsense": "means nothing here",
	} {
		_, err := Parse("x/name.scenario", "# about\n"+line)
		var wrong *Error
		if !errors.As(err, &wrong) || wrong.Line != 1+len(strings.Split(line, "\n")) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", line, err, want)
		}
	}
	if _, err := Parse("x/name.scenario", "server start\n"); err == nil {
		t.Error("a file that does not say what it is about was accepted")
	}
}

func TestAllScenariosCanBeRead(t *testing.T) {
	list, err := Load("../../scenarios")
	if err != nil || len(list) == 0 {
		t.Errorf("%d scenarios, %v", len(list), err)
	}
}
