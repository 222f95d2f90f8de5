package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pkg = `"Package":"example.com/p"`

func TestGoCounter(t *testing.T) {
	cases := map[string]struct {
		events string
		want   counts
		shows  string
	}{
		"leaf tests count once": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"pass",P,"Test":"A"}|{"Action":"pass",P}`,
			counts{passed: 1},
			"1 tests",
		},
		"a frame of subtests does not count": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"run",P,"Test":"A/x"}|{"Action":"run",P,"Test":"A/x/y"}|` +
				`{"Action":"pass",P,"Test":"A/x/y"}|{"Action":"pass",P,"Test":"A/x"}|{"Action":"pass",P,"Test":"A"}|{"Action":"pass",P}`,
			counts{passed: 1},
			"",
		},
		"a slash in a subtest's own name makes no frame": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"run",P,"Test":"A/x/y"}|{"Action":"pass",P,"Test":"A/x/y"}|` +
				`{"Action":"pass",P,"Test":"A"}|{"Action":"pass",P}`,
			counts{passed: 1},
			"1 tests",
		},
		"a failed subtest counts, its frame does not": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"run",P,"Test":"A/x"}|{"Action":"output",P,"Test":"A/x","Output":"boom\n"}|` +
				`{"Action":"fail",P,"Test":"A/x"}|{"Action":"fail",P,"Test":"A"}|{"Action":"fail",P}`,
			counts{failed: 1},
			"boom",
		},
		"a frame that fails by itself counts": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"run",P,"Test":"A/x"}|{"Action":"pass",P,"Test":"A/x"}|` +
				`{"Action":"fail",P,"Test":"A"}|{"Action":"fail",P}`,
			counts{passed: 1, failed: 1},
			"",
		},
		"a skipped test is neither": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"skip",P,"Test":"A"}|{"Action":"pass",P}`,
			counts{skipped: 1},
			"",
		},
		"a package that does not build counts as one failure": {
			`{"ImportPath":"example.com/p","Action":"build-output","Output":"p.go:1: bad\n"}|` +
				`{"ImportPath":"example.com/p","Action":"build-fail"}|{"Action":"fail",P}`,
			counts{failed: 1},
			"p.go:1: bad",
		},
		"a test that never ended failed": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"run",P,"Test":"B"}|{"Action":"pass",P,"Test":"B"}|` +
				`{"Action":"output",P,"Output":"panic: x\n"}|{"Action":"fail",P}`,
			counts{passed: 1, failed: 1},
			"panic: x",
		},
		"a package that fails after its tests passed counts": {
			`{"Action":"run",P,"Test":"A"}|{"Action":"pass",P,"Test":"A"}|{"Action":"output",P,"Output":"leak\n"}|{"Action":"fail",P}`,
			counts{passed: 1, failed: 1},
			"leak",
		},
		"text between the events is shown": {
			`warning: something`, counts{}, "warning: something",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			input := strings.NewReplacer("|", "\n", "P,", pkg+",", "P}", pkg+"}").Replace(tc.events)
			c := newGoCounter()
			var shown strings.Builder
			if err := c.read(strings.NewReader(input), &shown); err != nil {
				t.Fatal(err)
			}
			if got := c.counts(); got != tc.want {
				t.Errorf("counts: got %+v, want %+v", got, tc.want)
			}
			if !strings.Contains(shown.String(), tc.shows) {
				t.Errorf("shown: got %q, want it to hold %q", shown.String(), tc.shows)
			}
		})
	}
}

func TestCargoCounterSumsResults(t *testing.T) {
	output := `running 2 tests
test a ... ok
test b ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s
`
	c := &cargoCounter{}
	var shown strings.Builder
	if err := c.read(strings.NewReader(output), &shown); err != nil {
		t.Fatal(err)
	}
	if got, want := c.counts(), (counts{passed: 4, failed: 1, skipped: 2}); got != want {
		t.Errorf("counts: got %+v, want %+v", got, want)
	}
	if strings.Contains(shown.String(), "test a") || !strings.Contains(shown.String(), "test b ... FAILED") {
		t.Errorf("shown: got %q, want the failed test and not the passed one", shown.String())
	}
}

func TestRunCountsCommands(t *testing.T) {
	cases := map[string]struct {
		kind, command string
		code          int
		last          string
	}{
		"a command that succeeds is one passed test":       {"one", "true", 0, "1 passed, 0 failed"},
		"a command that fails is one failed test":          {"one", "false", 1, "0 passed, 1 failed"},
		"a suite that dies without a result is a failure":  {"cargo", "exit 101", 1, "0 passed, 1 failed"},
		"a suite whose failures are known is not counted ": {"cargo", "echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored;'; exit 101", 1, "1 passed, 2 failed"},
		"go test that finds no package is a failure":       {"go", "echo 'no such package'; exit 1", 1, "0 passed, 1 failed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "tally")
			var out strings.Builder
			code, err := run([]string{tc.kind, "s", file, "--", "sh", "-c", tc.command}, &out, &out)
			if err != nil || code != tc.code {
				t.Fatalf("run: got %d, %v, want %d", code, err, tc.code)
			}
			out.Reset()
			if code, err := run([]string{"sum", file}, &out, &out); err != nil || code != tc.code {
				t.Fatalf("sum: got %d, %v, want %d", code, err, tc.code)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if got := lines[len(lines)-1]; got != tc.last {
				t.Errorf("last line: got %q, want %q", got, tc.last)
			}
		})
	}
}

func TestRunOfMissingCommandIsAFailure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tally")
	var out strings.Builder
	if code, err := run([]string{"one", "s", file, "--", "/does/not/exist"}, &out, &out); err != nil || code != 1 {
		t.Fatalf("run: got %d, %v, want 1", code, err)
	}
}

func TestSumAddsRunsOfOneSuite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tally")
	text := "fuzz\t1\t0\t0\t1500\ngo\t10\t1\t2\t100\nfuzz\t1\t0\t0\t500\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if code, err := sum(file, &out); err != nil || code != 1 {
		t.Fatalf("sum: got %d, %v, want 1", code, err)
	}
	want := "  suite  passed  failed  skipped  seconds\n" +
		"   fuzz       2       0        0      2.0\n" +
		"     go      10       1        2      0.1\n" +
		"  total      12       1        2      2.1\n" +
		"12 passed, 1 failed\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestSumRefusesDamagedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tally")
	if err := os.WriteFile(file, []byte("go\tmany\t0\t0\t1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, err := sum(file, &strings.Builder{}); err == nil || code != 2 {
		t.Errorf("sum: got %d, %v, want 2 and an error", code, err)
	}
}
