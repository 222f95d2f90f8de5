package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func verdict(t *testing.T, r *Report, key string) Verdict {
	t.Helper()
	for _, v := range r.Verdicts() {
		if v.Key == key {
			return v
		}
	}
	t.Fatalf("there is no target for %s", key)
	return Verdict{}
}

func TestVerdicts(t *testing.T) {
	r := New()
	r.Set("register_c64_vs_limit", 0.8)
	r.Set("register_c64_vs_etcd", 4.99)
	r.Set("start_ms", 50)
	r.Set("binary_mb", 60.1)
	r.Set("register_c1_p50_us", 400)
	want := map[string]string{
		"register_c64_vs_limit": "met", "register_c64_vs_etcd": "NOT met", "start_ms": "met", "binary_mb": "NOT met",
		"register_c1_p50_us": "-", "watcher_kb": "-",
	}
	got := map[string]string{}
	for key := range want {
		got[key] = verdict(t, r, key).Result()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	// A target that is itself a figure.
	r.Set("register_c1_budget_us", 399)
	if v := verdict(t, r, "register_c1_p50_us"); v.Met || v.Goal != 399 {
		t.Errorf("400 of 399: met %v, goal %v", v.Met, v.Goal)
	}
	r.Set("register_c1_budget_us", 401)
	if v := verdict(t, r, "register_c1_p50_us"); !v.Met {
		t.Error("400 of 401 is not met")
	}
}

func TestTargetsAreTold(t *testing.T) {
	seen := map[string]bool{}
	for _, target := range Targets() {
		if seen[target.Key] {
			t.Errorf("%s is there twice", target.Key)
		}
		seen[target.Key] = true
		if target.Section == "" || target.What == "" || target.Unit == "" || target.Value == 0 && target.Of == "" {
			t.Errorf("%s lacks something: %+v", target.Key, target)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	r := New()
	r.Set("start_ms", 12.5)
	r.Fact("go", "go1.26")
	r.Note("one")
	r.Note("two")
	r.Note("one")
	path := filepath.Join(t.TempDir(), "made", "figures.json")
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"start_ms": 12.5, "go": "go1.26", "notes": []any{"one", "two"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWriteTable(t *testing.T) {
	r := New()
	r.Set("start_ms", 12.5)
	r.Set("binary_mb", 61)
	r.Set("other", 0.001234)
	r.Note("mind the gap")
	var b bytes.Buffer
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"1 of 2 targets", "<= 50.0", "NOT met", "other  0.00123", "note: mind the gap"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is missing in:\n%s", part, b.String())
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{5, 9, 1}, 5}, {[]float64{4, 3, 2, 1}, 2.5}} {
		if got := Median(tt.values); got != tt.want {
			t.Errorf("the median of %v is %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.8: "0.80", 12.34: "12.3", 150_000: "150000", 0.0448: "0.0448", -3: "-3.00"} {
		if got := Number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
