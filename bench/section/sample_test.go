package section

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-registry/muster/bench/report"
)

// A ratio is the median of the ratios of the repetitions, not the ratio of the
// medians: the second repetition here ran on a machine half as fast.
func TestSamples(t *testing.T) {
	r := &Run{Report: report.New()}
	for _, v := range [][2]float64{{90, 100}, {45, 50}, {200, 100}} {
		r.Sample("a", v[0])
		r.Sample("b", v[1])
	}
	r.Sample("zero", 0)
	r.Medians("a", "b", "never")
	r.Ratio("a_vs_b", "a", "b")
	r.Ratio("a_vs_zero", "a", "zero")
	r.Ratio("a_vs_never", "a", "never")
	r.Spread("b_spread", "b")
	r.Spread("never_spread", "never")
	want := map[string]float64{"a": 90, "b": 100, "a_vs_b": 0.9, "b_spread": 50}
	if diff := cmp.Diff(want, r.Report.Figures()); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

func TestNextKeys(t *testing.T) {
	r := &Run{}
	if a, b := r.NextKeys(), r.NextKeys(); b-a < 1_000_000 {
		t.Errorf("keys begin at %d and at %d: one measurement may use those of another", a, b)
	}
}
