package semver_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/muster-registry/muster/server/selector/semver"
)

func mustParse(t testing.TB, text string) semver.Version {
	t.Helper()
	v, err := semver.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q) = %v", text, err)
	}
	return v
}

func TestParseAcceptsVersions(t *testing.T) {
	for text, want := range map[string]string{
		"0.0.0":                               "0.0.0",
		"1.2.3":                               "1.2.3",
		"1.2.3+build.01.x-y":                  "1.2.3",
		"1.2.3-rc.1+b":                        "1.2.3-rc.1",
		"1.2.3--":                             "1.2.3--",
		"1.2.3-0a.00a":                        "1.2.3-0a.00a",
		"1.2.3-0":                             "1.2.3-0",
		"18446744073709551615.0.0":            "18446744073709551615.0.0",
		"1.0.0-18446744073709551615":          "1.0.0-18446744073709551615",
		"1.0.0-" + strings.Repeat("a", 122):   "1.0.0-" + strings.Repeat("a", 122),
		"1.0.0-a+" + strings.Repeat("b", 120): "1.0.0-a",
	} {
		if got := mustParse(t, text).String(); got != want {
			t.Errorf("Parse(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestParseRefusesWhatIsNoVersion(t *testing.T) {
	for _, text := range []string{
		"", "1", "1.2", "1.2.3.4", "v1.2.3", "V1.2.3", "1.2.x", "01.2.3", "1.02.3", "1.2.03", "1.2.-3",
		"+1.2.3", "1.2.3+", "1.2.3-", "1.2.3-+b", "1.2.3-a..b", "1.2.3-a.", "1.2.3-01", "1.2.3-a.00",
		"1.2.3+a..b", "1.2.3+a+b", "1.2.3-é", "1.2.3+é", "１.2.3", " 1.2.3", "1.2.3 ", "1. 2.3", "1.2.3-a_b",
		"18446744073709551616.0.0", "1.0.0-18446744073709551616", "1.0.0-" + strings.Repeat("a", 123), "1e1.0.0", "1..0", "..",
	} {
		if v, err := semver.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, v)
		}
	}
}

// TestCompareOrdersByPrecedence takes the example of semver.org, clause 11,
// and what it leaves open.
func TestCompareOrdersByPrecedence(t *testing.T) {
	ordered := []string{
		"0.0.0-0", "0.0.0", "0.0.1", "0.1.0", "1.0.0-2", "1.0.0-10", "1.0.0-9999999999", "1.0.0--", "1.0.0-Z", "1.0.0-alpha",
		"1.0.0-alpha.1", "1.0.0-alpha.1.0", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
		"1.0.0-rc.1", "1.0.0", "1.0.10", "1.9.0", "1.10.0", "2.0.0", "10.0.0",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			got := mustParse(t, a).Compare(mustParse(t, b))
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("Compare(%s, %s) = %d, want the sign of %d", a, b, got, i-j)
			}
		}
	}
	if mustParse(t, "1.0.0+a").Compare(mustParse(t, "1.0.0+b")) != 0 {
		t.Error("build parts have no precedence")
	}
}

func TestRangeMatches(t *testing.T) {
	for _, c := range []struct {
		text    string
		match   []string
		differs []string
	}{
		{"", []string{"", "nonsense", "1.0.0", "1.0.0-a"}, nil},
		{"1.2.3", []string{"1.2.3", "1.2.3+b"}, []string{"", "1.2.4", "1.2.3-a"}},
		{"=1.2.3+x", []string{"1.2.3", "1.2.3+b"}, []string{"1.2.4"}},
		{"!=1.2.3", []string{"1.2.4", "0.0.1"}, []string{"1.2.3", "1.2.3-a", "1.2.4-a", "nonsense"}},
		{">=1.2.0 <2.0.0", []string{"1.2.0", "1.9.9"}, []string{"1.1.9", "2.0.0", "1.3.0-a", "2.0.0-a"}},
		{">1.2.0 <=1.4.0", []string{"1.2.1", "1.4.0"}, []string{"1.2.0", "1.4.1"}},
		{">=1.2.0-rc.1", []string{"1.2.0-rc.1", "1.2.0-rc.2", "1.2.0", "1.3.0"}, []string{"1.2.0-beta", "1.2.1-rc.2", "1.3.0-rc.2"}},
		{"<2.0.0 >=1.2.0-a", []string{"1.2.0-a", "1.2.0-z", "1.9.0"}, []string{"2.0.0-a", "1.9.0-a"}},
		{">=1.0.0 !=2.0.0-a", []string{"2.0.0-b", "2.0.0"}, []string{"2.0.0-a", "1.5.0-b"}},
		{"  >=1.0.0   <2.0.0 ", []string{"1.0.0"}, []string{"2.0.0"}},
	} {
		r, err := semver.ParseRange(c.text)
		if err != nil {
			t.Errorf("ParseRange(%q) = %v", c.text, err)
			continue
		}
		for _, v := range c.match {
			if !r.MatchText(v) {
				t.Errorf("%q does not match %q", c.text, v)
			}
		}
		for _, v := range c.differs {
			if r.MatchText(v) {
				t.Errorf("%q matches %q", c.text, v)
			}
		}
	}
}

func TestRangeNormalises(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"1.2.3":                    "=1.2.3",
		">=1.2.0 <2.0.0":           "<2.0.0 >=1.2.0",
		"<2.0.0  >=1.2.0 <2.0.0+x": "<2.0.0 >=1.2.0",
		"=1.0.0 1.0.0 !=1.0.0 >1.0.0 <1.0.0 <=1.0.0": "!=1.0.0 <1.0.0 <=1.0.0 =1.0.0 >1.0.0",
	} {
		r, err := semver.ParseRange(text)
		if err != nil || r.String() != want || r.Empty() != (want == "") {
			t.Errorf("ParseRange(%q) = %q, %v, want %q", text, r, err, want)
		}
	}
}

func TestRangeRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{
		" ", "   ", ">= 1.0.0", "^1.0.0", "~1.0.0", "1.x", "*", "==1.0.0", "<>1.0.0", "=>1.0.0", "!1.0.0", ">=1.0",
		">=1.0.0,<2.0.0", "1.0.0 || 2.0.0", ">=1.0.0\t<2.0.0", ">=1.0.0\n", ">=1.0.0\u00a0<2.0.0", ">=v1.0.0", ">",
		strings.Repeat(">=1.0.0 ", 129),
	} {
		if r, err := semver.ParseRange(text); err == nil {
			t.Errorf("ParseRange(%q) = %q, want an error", text, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1.2.3", "1.2.3-rc.1+b", "0.0.0--.0", "v1.2.3", "1.2", "1.2.3-01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := semver.Parse(text)
		if err != nil {
			return
		}
		again, err := semver.Parse(v.String())
		if err != nil || again != v || v.Compare(again) != 0 {
			t.Fatalf("%q reads as %v, which reads as %v, %v", text, v, again, err)
		}
	})
}

func FuzzRange(f *testing.F) {
	f.Add(">=1.2.0 <2.0.0", "1.3.0")
	f.Add("1.2.3-a !=1.2.3-b", "1.2.3-c")
	f.Fuzz(func(t *testing.T, text, version string) {
		r, err := semver.ParseRange(text)
		if err != nil {
			return
		}
		again, err := semver.ParseRange(r.String())
		if err != nil || again.String() != r.String() || !slices.Equal([]bool{again.MatchText(version)}, []bool{r.MatchText(version)}) {
			t.Fatalf("%q normalises to %q, which reads as %q, %v", text, r, again, err)
		}
	})
}

func BenchmarkRangeMatchText(b *testing.B) {
	r, err := semver.ParseRange(">=1.2.0 <2.0.0")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.MatchText("1.14.2-rc.1+build.5")
	}
}
