package e2e

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/examples/demo/fleet"
)

// growOld is after how many tenths of a second a server drains without waiting
// for watchers that it may not have heard of yet.
const growOld = 55

var (
	durations = regexp.MustCompile(`\b[0-9]+(\.[0-9]+)?(ms|s)\b`)
	counts    = regexp.MustCompile(`\b[0-9]+ attempts?\b`)
	addresses = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
)

// Both languages report a drain in the same words.
func TestE2EDrainReports(t *testing.T) {
	in := install(t)
	in.greeter(fleet.Go, fleet.GreeterOptions{ID: "stays"})
	greeters := []*fleet.Greeter{
		in.greeter(fleet.Go, fleet.GreeterOptions{ID: "go-1"}),
		in.greeter(fleet.Rust, fleet.GreeterOptions{ID: "rust-1"}),
	}
	in.call(fleet.Languages(), "stays", "go-1", "rust-1")
	in.settle(growOld)
	for _, g := range greeters {
		in.check(g.Signal(syscall.SIGTERM))
		_, err := g.Wait(in.ctx)
		in.check(err)
		report, err := g.Said(in.ctx, "drained: ")
		in.check(err)
		if got := durations.ReplaceAllString(report, "TIME"); got != "drained: 2/2 watchers confirmed in TIME" {
			t.Errorf("%s reports %q", g.Name, report)
		}
	}
}

// Both languages refuse the same input with the same text, before or after
// asking the registry.
func TestE2ERefusals(t *testing.T) {
	in := install(t)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{
			"nobody can dial it",
			[]string{"--advertise", "0.0.0.0:8080"},
			`muster: endpoint "grpc" of demo/greeter: address 0.0.0.0:8080 cannot be dialled by others; ` +
				`pass a reachable address or use AdvertiseFrom(listener) [INVALID_ENDPOINT]`,
		},
		{"no host", []string{"--advertise", ":8080"}, "[INVALID_ENDPOINT]"},
		{"IPv6 unspecified", []string{"--advertise", "[::]:8080"}, "[INVALID_ENDPOINT]"},
		{"no port", []string{"--advertise", "10.0.0.5"}, "[INVALID_ENDPOINT]"},
		{"port 0", []string{"--advertise", "10.0.0.5:0"}, "[INVALID_ENDPOINT]"},
		{"namespace", []string{"--service", "Demo/greeter"}, "[INVALID_ARGUMENT]"},
		{"service", []string{"--service", "demo/-greeter"}, "[INVALID_ARGUMENT]"},
		{"instance id", []string{"--id", "two words"}, "[INVALID_ARGUMENT]"},
		{"version", []string{"--version", "v1"}, "[INVALID_ARGUMENT]"},
		{"zone", []string{"--zone", strings.Repeat("z", 64)}, "[INVALID_ARGUMENT]"},
		{"TTL too short", []string{"--ttl", "10ms"}, "[INVALID_ARGUMENT]"},
		{"TTL too long", []string{"--ttl", "4000s"}, "[INVALID_ARGUMENT]"},
		{"server address", []string{"--servers", "localhost"}, "[INVALID_ARGUMENT]"},
		{"no server", []string{"--servers", "127.0.0.1:1"}, "[NO_SERVER]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			started, said := map[fleet.Language]*fleet.Process{}, map[fleet.Language]string{}
			for _, language := range fleet.Languages() {
				started[language] = in.startRefused(t, language, test.args)
			}
			for _, language := range fleet.Languages() {
				said[language] = in.refusal(t, started[language])
				if !strings.Contains(said[language], test.want) {
					t.Errorf("%s says %q, without %q", language, said[language], test.want)
				}
			}
			if diff := cmp.Diff(said[fleet.Go], said[fleet.Rust]); diff != "" {
				t.Errorf("Go (-) and Rust (+) differ:\n%s", diff)
			}
		})
	}
}

// startRefused starts a greeter that cannot register.
func (in *installation) startRefused(t *testing.T, language fleet.Language, args []string) *fleet.Process {
	t.Helper()
	args = append([]string{"--servers", in.server.Address, "--id", "refused"}, args...)
	p, err := in.fleet.StartShort("refused-"+string(language), "greeter-"+string(language), args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// refusal returns what a greeter that cannot register says at its end, without
// what differs from run to run and from language to language.
func (in *installation) refusal(t *testing.T, p *fleet.Process) string {
	t.Helper()
	status, err := p.Wait(in.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if status != 1 {
		t.Errorf("%s exited with status %d", p.Name, status)
	}
	text, err := p.Said(in.ctx, "muster: ")
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "advertise_from(listener)", "AdvertiseFrom(listener)")
	text = strings.ReplaceAll(text, "option ttl", "option TTL")
	text = durations.ReplaceAllString(text, "TIME")
	text = counts.ReplaceAllString(text, "SOME attempts")
	return addresses.ReplaceAllString(text, "ADDRESS")
}
