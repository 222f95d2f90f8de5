package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"
)

// input is what a test gives to Load.
type input struct {
	file    string
	environ []string
	flags   []string
	root    bool
}

const testHome = "HOME=/somewhere/ann"

func load(t testing.TB, in input) (*Effective, error) {
	t.Helper()
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	AddFlags(flags)
	if in.file != "" {
		path := filepath.Join(t.TempDir(), "muster.yaml")
		if err := os.WriteFile(path, []byte(in.file), 0o600); err != nil {
			t.Fatal(err)
		}
		in.environ = append(in.environ, EnvFile+"="+path)
	}
	if err := flags.Parse(in.flags); err != nil {
		t.Fatal(err)
	}
	return Load(Sources{Flags: flags, Environ: append([]string{testHome}, in.environ...), Root: in.root})
}

func mustLoad(t testing.TB, in input) *Effective {
	t.Helper()
	e, err := load(t, in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestDefaults(t *testing.T) {
	want := defaults()
	want.DataDir = "/somewhere/ann/.local/state/muster"
	if diff := cmp.Diff(want, mustLoad(t, input{}).Config); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestDefaultDataDir(t *testing.T) {
	tests := []struct {
		name string
		in   input
		want string
	}{
		{"home", input{}, "/somewhere/ann/.local/state/muster"},
		{"state", input{environ: []string{"XDG_STATE_HOME=/state"}}, "/state/muster"},
		{"relative state counts as none", input{environ: []string{"XDG_STATE_HOME=state"}}, "/somewhere/ann/.local/state/muster"},
		{"root", input{root: true, environ: []string{"XDG_STATE_HOME=/state"}}, "/var/lib/muster"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustLoad(t, tt.in).DataDir; got != tt.want {
				t.Errorf("data-dir is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestNoDefaultDataDir(t *testing.T) {
	_, err := load(t, input{environ: []string{"HOME="}})
	want := "configuration: data-dir (default): there is none, since HOME is not set; pass --data-dir"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// other is a value of each setting that is not its default.
var other = map[string]string{
	"listen": "[::1]:81", "data-dir": "/data", "shutdown-timeout": "3s",
	"log.level": "debug", "log.format": "json", "pprof": "[::1]:6060", "history": "7",
	"limits.subscriptions-per-stream": "7", "limits.services-per-selector": "7",
	"limits.instances-per-lease": "7", "limits.lookup-instances": "7",
	"limits.request-bytes": "70000", "limits.instance-bytes": "2000",
	"limits.min-ttl": "1m30s", "limits.max-ttl": "50m", "limits.streams-per-connection": "7",
	"limits.leases-per-keepalive": "7",
}

// give puts a value of a setting into one of the sources.
func (in *input) give(source string, s setting, value string) {
	switch source {
	case "flag":
		in.flags = append(in.flags, "--"+s.flag()+"="+value)
	case "environment":
		in.environ = append(in.environ, s.env()+"="+value)
	case "file":
		in.file += s.name + ": " + yamlQuote(value) + "\n"
	}
}

func yamlQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Every setting goes through every source, and each source beats the weaker
// ones, for each pair of them.
func TestPrecedence(t *testing.T) {
	order := []string{"flag", "environment", "file"}
	for _, s := range settings() {
		base := mustLoad(t, input{})
		value := other[s.name]
		fallback := s.show(&base.Config)
		if value == "" || value == fallback {
			t.Fatalf("%s: the test needs a value other than %q", s.name, fallback)
		}
		for strong := range order {
			var alone input
			alone.give(order[strong], s, value)
			if s.name == "limits.request-bytes" {
				alone.flags = append(alone.flags, "--limits-instance-bytes=2000")
			}
			expect(t, s, alone, value, order[strong]+" over default")
			for weak := strong + 1; weak < len(order); weak++ {
				both := alone
				both.give(order[weak], s, fallback)
				expect(t, s, both, value, order[strong]+" over "+order[weak])
			}
		}
	}
}

func expect(t *testing.T, s setting, in input, want, name string) {
	t.Run(s.name+"/"+name, func(t *testing.T) {
		e := mustLoad(t, in)
		if got := s.show(&e.Config); got != want {
			t.Errorf("%s is %q, want %q", s.name, got, want)
		}
		source, _, _ := strings.Cut(name, " ")
		if place := e.places[s.name]; !strings.HasPrefix(place, source) {
			t.Errorf("%s came from %q, want %s", s.name, place, source)
		}
	})
}

func TestFields(t *testing.T) {
	e := mustLoad(t, input{file: "log: {level: warn}\nlimits:\n  max-ttl: 90s # a comment\n  lookup-instances: 5\n"})
	want := defaults()
	want.DataDir = "/somewhere/ann/.local/state/muster"
	want.LogLevel = slog.LevelWarn
	want.Limits.MaxTTL = 90 * time.Second
	want.Limits.LookupInstances = 5
	if diff := cmp.Diff(want, e.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

// Whatever holds, printed and loaded again gives the same.
func TestYAMLRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var in input
		for _, s := range settings() {
			if source := rapid.SampledFrom([]string{"flag", "environment", "file", ""}).Draw(rt, s.name); source != "" {
				in.give(source, s, other[s.name])
			}
		}
		in.flags = append(in.flags, "--data-dir="+rapid.StringMatching(`[ -~äß€]{1,20}`).Draw(rt, "data-dir"))
		in.flags = append(in.flags, "--limits-instance-bytes=1024")
		first := mustLoad(t, in)
		text, err := first.YAML()
		if err != nil {
			rt.Fatal(err)
		}
		second := mustLoad(t, input{file: string(text)})
		if diff := cmp.Diff(first.Config, second.Config); diff != "" {
			rt.Fatalf("printed and loaded (-first +second):\n%s\n%s", diff, text)
		}
	})
}

func TestYAML(t *testing.T) {
	e := mustLoad(t, input{
		root: true, environ: []string{"MUSTER_SERVER_LOG_LEVEL=warn"},
		flags: []string{"--listen", ":7071"},
	})
	got, err := e.YAML()
	if err != nil {
		t.Fatal(err)
	}
	want := `# a flag goes before the environment, that before the file, and that before the default
listen: :7071 # flag --listen
data-dir: /var/lib/muster # default
shutdown-timeout: 10s # default
log:
  level: warn # environment MUSTER_SERVER_LOG_LEVEL
  format: text # default
pprof: off # default
history: 262144 # default
`
	if diff := cmp.Diff(want, string(got)[:min(len(want), len(got))]); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}
