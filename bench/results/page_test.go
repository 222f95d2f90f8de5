package results

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/bench/plot"
	"github.com/muster-registry/muster/bench/report"
)

func TestPointsAreOrderedBySize(t *testing.T) {
	figures := map[string]float64{
		"restart_1m_s": 2, "restart_10k_s": 0.05, "restart_100k_s": 0.2,
		"restart_etcd_10k_s": 1, "restart_10k_cpu_s": 9, "x_restart_10k_s": 9,
	}
	want := []plot.Point{{X: 1e4, Y: 0.05}, {X: 1e5, Y: 0.2}, {X: 1e6, Y: 2}}
	if d := cmp.Diff(want, points("restart_#_s", figures)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]plot.Point{{X: 10, Y: 3}}, points("lookup_n#_muster_cpu_us", map[string]float64{"lookup_n10_muster_cpu_us": 3})); d != "" {
		t.Error(d)
	}
}

func TestWrite(t *testing.T) {
	r := report.New()
	r.Fact("machine", "two | cores")
	r.Note("a thing to know")
	r.Set("restart_10k_s", 0.05)
	r.Set("restart_100k_s", 0.5)
	r.Set("lookup_n10_muster_cpu_us", 30)
	dir := t.TempDir()
	stale := filepath.Join(dir, "plots", "lookup.svg")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(r, dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`two \| cores`, "a thing to know", "plots/restart.svg", "1 of the 2 that were measured are met",
		"| 0.05 | s | <= 0.06 | met |", "| 0.50 | s | <= 0.25 | **not met** |", "`lookup_n10_muster_cpu_us`",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a chart without figures is still there: %v", err)
	}
	if svg, err := os.ReadFile(filepath.Join(dir, "plots", "restart.svg")); err != nil || !strings.Contains(string(svg), "<polyline") {
		t.Errorf("the chart has no line: %v", err)
	}
}

func TestEveryDrawingHasItsOwnFile(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range drawings() {
		if seen[d.file] || d.title == "" || d.x == "" || d.y == "" || len(d.lines) == 0 {
			t.Errorf("drawing %q is not complete, or not the only one of its name", d.file)
		}
		seen[d.file] = true
	}
}
