package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// module is one whose package judge tests the package rules.
var module = map[string]string{
	"go.mod": "module sample\n\ngo 1.26\n",
	"rules/rules.go": `package rules

// Limit is used by both packages.
const Limit = step * 5

const step = 2

// Size is needed by the compiler.
const Size = 3

var table = [Size]string{"none", "one", "two"}

func Over(n int) bool { return n > Limit }

func Clamp(n int) int {
	if n <= 0 {
		return 0
	}
	return n
}

func Sum(list []int) (sum int) {
	for i := 0; i < len(list); i++ {
		if list[i] == 7 {
			continue
		}
		sum += list[i]
	}
	return sum
}

func Down(n uint) (steps int) {
	for n > 0 {
		n--
		steps++
	}
	return steps
}

func Name(n int) string {
	switch n {
	case 1, 2: // 1 cannot be 2 as well
		return table[n]
	default:
		return table[0]
	}
}

func Forgotten(a, b bool) bool { return a && !b }
`,
	"judge/judge.go": `package judge

import "sample/rules"

func Limit() int { return rules.Limit }
`,
	"judge/judge_test.go": `package judge

import (
	"testing"

	"sample/rules"
)

func TestAll(t *testing.T) {
	for name, good := range map[string]func() bool{
		"limit": func() bool { return Limit() == 10 && !rules.Over(10) && rules.Over(11) },
		"clamp": func() bool { return rules.Clamp(-1) == 0 && rules.Clamp(0) == 0 && rules.Clamp(1) == 1 && rules.Clamp(2) == 2 },
		"sum":   func() bool { return rules.Sum(nil) == 0 && rules.Sum([]int{1, 7, 2, 6, 8}) == 17 },
		"down":  func() bool { return rules.Down(0) == 0 && rules.Down(5) == 5 },
		"name":  func() bool { return rules.Name(0) == "none" && rules.Name(1) == "one" && rules.Name(3) == "none" },
	} {
		t.Run(name, func(t *testing.T) {
			if !good() {
				t.Fail()
			}
		})
	}
}
`,
}

// survivors are those of module, as they are printed.
var survivors = []string{
	"- `rules.go` `table`: `var table = [Size]string{\"none\", \"one\", \"two\"}` becomes `var table = [Size]string{\"none\", \"one\", \"\"}`",
	"- `rules.go` `Size`: `const Size = 3` becomes `const Size = 4`",
	"- `rules.go` `Clamp`: `if n <= 0 {` becomes `if n < 0 {`",
	"- `rules.go` `Name`: `case 1, 2: // 1 cannot be 2 as well` becomes `case 1, 247: // 1 cannot be 2 as well`",
	"- `rules.go` `Forgotten`: `func Forgotten(a, b bool) bool { return a && !b }` becomes `func Forgotten(a, b bool) bool { return a || !b }`",
	"- `rules.go` `Forgotten`: `func Forgotten(a, b bool) bool { return a && !b }` becomes `func Forgotten(a, b bool) bool { return a && b }`",
}

func runSample(t *testing.T, o options) (*report, options) {
	t.Helper()
	folder := t.TempDir()
	for name, text := range module {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Chdir(folder)
	o.files, o.test, o.run, o.limit, o.parallel = []string{"rules/rules.go"}, "./judge", "TestAll", time.Minute, 2
	r, err := mutate(o)
	if err != nil {
		t.Fatal(err)
	}
	return r, o
}

func TestMutateFindsWhatTheTestsMiss(t *testing.T) {
	r, o := runSample(t, options{every: 1})
	var got []string
	var counts [len(fates)]int
	for _, m := range r.mutants {
		counts[m.fate]++
		if m.fate == survived || m.fate == unreached {
			got = append(got, m.describe())
		}
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(survivors))
	if !slices.Equal(got, want) {
		t.Errorf("survivors:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if counts[unreached] != 2 || counts[untried] != 0 || counts[killed] < 30 || counts[impossible] != 1 {
		t.Errorf("untried, killed, survived, unreached, impossible: %d", counts)
	}
	var out bytes.Buffer
	if !r.write(&out, o) {
		t.Error("without -min and -explained nothing is a surprise")
	}
	o.minimum = 95
	if r.write(&out, o) {
		t.Error("a score below -min is a success")
	}
}

func TestSampleTriesSome(t *testing.T) {
	r, _ := runSample(t, options{every: 10})
	if len(r.mutants) < 4 || len(r.mutants) > 8 {
		t.Errorf("%d mutants of every tenth", len(r.mutants))
	}
}
