package config

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// problems are the lines of what Load refuses, with the file's path shortened.
func problems(t *testing.T, in input) []string {
	t.Helper()
	_, err := load(t, in)
	var wrong *Error
	if err != nil && !errors.As(err, &wrong) {
		t.Fatalf("got %v, want an *Error", err)
	}
	var lines []string
	if wrong != nil {
		for _, p := range wrong.Problems {
			lines = append(lines, regexp.MustCompile(`file \S*/`).ReplaceAllString(p.String(), "file "))
		}
	}
	return lines
}

// wrong are values that each setting refuses.
var wrong = map[string][]string{
	"listen":                          {"", "7070", "localhost", "localhost:", "localhost:http", "localhost:65536", "localhost:-1", "http://localhost:7070", "::1:7070"},
	"data-dir":                        {""},
	"shutdown-timeout":                {"", "10", "9ms", "11m", "1s500us", "-1s", "soon"},
	"log.level":                       {"", "INFO", "trace", "info+1", "2"},
	"pprof":                           {"", "on", "6060", ":6060", "0.0.0.0:6060", "10.0.0.1:6060", "example.com:6060", "127.0.0.1:http", "localhost"},
	"log.format":                      {"", "JSON", "xml"},
	"history":                         {"", "0", "-1", "67108865", "1e3", "0x10", "1.5", "1 000", "many"},
	"limits.min-ttl":                  {"", "999ms", "1h0m1s", "1", "1500.5ms"},
	"limits.max-ttl":                  {"", "999ms", "2h", "never"},
	"limits.subscriptions-per-stream": {"", "0", "100001"}, "limits.services-per-selector": {"", "0", "100001"},
	"limits.instances-per-lease": {"", "0", "1001"}, "limits.lookup-instances": {"", "0", "1000001"},
	"limits.request-bytes": {"", "65535", "67108865", "4MiB"}, "limits.instance-bytes": {"", "1023", "524289"},
	"limits.streams-per-connection": {"", "1", "100001"}, "limits.leases-per-keepalive": {"", "0", "100001"},
}

// Every wrong value is refused wherever it comes from, with its setting, its
// value, its place and what is allowed.
func TestWrongValues(t *testing.T) {
	for _, s := range settings() {
		if len(wrong[s.name]) == 0 {
			t.Errorf("%s: the test has no wrong value", s.name)
		}
		for _, source := range []string{"flag", "environment", "file"} {
			for _, value := range wrong[s.name] {
				t.Run(s.name+"/"+source+"/"+value, func(t *testing.T) {
					var in input
					in.give(source, s, value)
					got := problems(t, in)
					if len(got) != 1 {
						t.Fatalf("got %d problems, want 1: %q", len(got), got)
					}
					for _, part := range []string{s.name, value, source, s.allowed} {
						if !strings.Contains(got[0], part) {
							t.Errorf("%q lacks %q", got[0], part)
						}
					}
				})
			}
		}
	}
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name string
		in   input
		want []string
	}{
		{
			"everything at once",
			input{
				file:    "listn: :1\nlimits:\n  max-ttl: 2h\n  min_ttl: 1s\nlog: {level: loud}\n",
				environ: []string{"MUSTER_SERVER_HISTORY=x", "MUSTER_SERVER_LOGLEVEL=info"},
				flags:   []string{"--listen=7070"},
			},
			[]string{
				`listn (file muster.yaml line 1): there is no such setting; did you mean listen?`,
				`limits.min_ttl (file muster.yaml line 4): there is no such setting; did you mean limits.min-ttl?`,
				`MUSTER_SERVER_LOGLEVEL (environment): there is no such setting; did you mean MUSTER_SERVER_LOG_LEVEL?`,
				`listen: "7070" (flag --listen): must be host:port with a port from 0 to 65535, such as 127.0.0.1:7070; an empty host is every address`,
				`log.level: "loud" (file muster.yaml line 5): must be debug, info, warn or error`,
				`history: "x" (environment MUSTER_SERVER_HISTORY): must be a whole number from 1 to 67108864`,
				`limits.max-ttl: "2h" (file muster.yaml line 3): must be a duration from 1s to 1h in whole milliseconds, such as 1m30s`,
			},
		},
		{
			"an overridden value is not looked at",
			input{file: "listen: x\n", flags: []string{"--listen=:1"}},
			nil,
		},
		{
			"limits that contradict each other",
			input{environ: []string{
				"MUSTER_SERVER_LIMITS_MIN_TTL=2m", "MUSTER_SERVER_LIMITS_MAX_TTL=1m",
				"MUSTER_SERVER_LIMITS_INSTANCE_BYTES=100000", "MUSTER_SERVER_LIMITS_REQUEST_BYTES=70000",
			}},
			[]string{`limits.max-ttl: "1m" (environment MUSTER_SERVER_LIMITS_MAX_TTL): must be at least limits.min-ttl`},
		},
		{
			"bytes that contradict each other",
			input{flags: []string{"--limits-instance-bytes=100000", "--limits-request-bytes=70000"}},
			[]string{`limits.request-bytes: "70000" (flag --limits-request-bytes): must be at least limits.instance-bytes`},
		},
		{
			"empty in the file",
			input{file: "listen:\nlog:\n"},
			[]string{`listen (file muster.yaml line 1): is empty; it must be host:port with a port from 0 to 65535, such as 127.0.0.1:7070; an empty host is every address`},
		},
		{
			"shapes",
			input{file: "listen: [a]\nlog: info\nhistory: {a: 1}\nfoo: {a: 1}\n\"\": 1\n"},
			[]string{
				`listen (file muster.yaml line 1): must be one value, not a list or a group`,
				`log (file muster.yaml line 2): must be settings, each as "name: value"`,
				`history (file muster.yaml line 3): must be one value, not a list or a group`,
				`foo (file muster.yaml line 4): there is no such setting; did you mean pprof?`,
				`"" (file muster.yaml line 5): there is no such setting; did you mean pprof?`,
			},
		},
		{
			"twice",
			input{file: "history: 1\nlimits.max-ttl: 1m\nhistory: 2\nlimits: {max-ttl: 2m}\n"},
			[]string{
				`history (file muster.yaml line 3): is set twice, before on line 1`,
				`limits.max-ttl (file muster.yaml line 4): is set twice, before on line 2`,
			},
		},
		{
			"one problem for each setting",
			input{file: "history: 0\nhistory: 2\n"},
			[]string{`history (file muster.yaml line 2): is set twice, before on line 1`},
		},
		{
			"a group in itself",
			input{file: "limits: &l\n  max-ttl: *l\n  x: *l\n"},
			[]string{
				`limits.max-ttl (file muster.yaml line 2): must be one value, not a list or a group`,
				`limits.x (file muster.yaml line 3): there is no such setting; did you mean listen?`,
			},
		},
		{
			"not YAML",
			input{file: "listen: a\nhistory: : 1\n"},
			[]string{`file muster.yaml: line 2: mapping values are not allowed in this context`},
		},
		{
			"a list",
			input{file: "- listen\n"},
			[]string{`file muster.yaml line 1: must be settings, each as "name: value"`},
		},
		{
			"two documents",
			input{file: "listen: :1\n---\nlisten: :2\n"},
			[]string{`file muster.yaml: line 2: a second document begins; put all settings into one`},
		},
		{"only comments", input{file: "# nothing\n"}, nil},
		{"an alias", input{file: "listen: &a :1\ndata-dir: *a\n"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, problems(t, tt.in)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "no such file or directory",
		dir:                             "is a directory",
	} {
		_, err := load(t, input{flags: []string{"--config", path, "--history=0"}})
		text := "configuration: 2 problems:\n  file " + path + ": " + want + "\n" +
			`  history: "0" (flag --history): must be a whole number from 1 to 67108864`
		if err == nil || err.Error() != text {
			t.Errorf("got  %v\nwant %s", err, text)
		}
	}
}

// Kubernetes tells every pod about a Service named muster-server; that is no
// mistake of the operator.
func TestKubernetesVariables(t *testing.T) {
	tests := []struct {
		variable string
		ours     bool
	}{
		{"MUSTER_SERVER_SERVICE_HOST=10.96.0.7", false},
		{"MUSTER_SERVER_SERVICE_PORT=7070", false},
		{"MUSTER_SERVER_SERVICE_PORT_GRPC=7070", false},
		{"MUSTER_SERVER_PORT=tcp://10.96.0.7:7070", false},
		{"MUSTER_SERVER_PORT_7070_TCP=tcp://10.96.0.7:7070", false},
		{"MUSTER_SERVER_PORT_7070_TCP_PROTO=tcp", false},
		{"MUSTER_SERVER_PORT_7070_TCP_PORT=7070", false},
		{"MUSTER_SERVER_PORT_7070_TCP_ADDR=10.96.0.7", false},
		{"MUSTER_SERVER_0_PORT_7070_TCP_ADDR=fd00::7", false},
		{"MUSTER_SERVER_PEER_SERVICE_HOST=10.96.0.7", false},
		{"MUSTER_SERVER_PORT=7070", true},
		{"MUSTER_SERVER_SERVICE=x", true},
		{"MUSTER_SERVER_PORT_7070=x", true},
		{"MUSTER_SERVER_PORT_7070_TCP_NAME=x", true},
		{"MUSTER_SERVERS=127.0.0.1:7070", false}, // the command line's
	}
	for _, tt := range tests {
		t.Run(tt.variable, func(t *testing.T) {
			if got := problems(t, input{environ: []string{tt.variable}}); (len(got) > 0) != tt.ours {
				t.Errorf("problems: %q", got)
			}
		})
	}
}
