package section

import (
	"slices"

	"github.com/muster-registry/muster/bench/report"
)

// Sample adds the value of one repetition to a figure; Medians makes the figure.
func (r *Run) Sample(key string, value float64) {
	if r.samples == nil {
		r.samples = map[string][]float64{}
	}
	r.samples[key] = append(r.samples[key], value)
}

// Medians reports the median of each figure that was sampled.
func (r *Run) Medians(keys ...string) {
	for _, key := range keys {
		if values := r.samples[key]; len(values) > 0 {
			r.Report.Set(key, report.Median(values))
		}
	}
}

// Ratio reports the median of the ratios of two sampled figures, repetition by
// repetition, so that what disturbs both of a repetition disturbs the ratio
// less. Nothing is reported if one of them was not measured.
func (r *Run) Ratio(key, of, to string) {
	a, b := r.samples[of], r.samples[to]
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	if len(ratios) > 0 {
		r.Report.Set(key, report.Median(ratios))
	}
}

// Spread reports how far the values of a figure lie apart, as a part of their
// median, in percent: the noise of the machine.
func (r *Run) Spread(key, of string) {
	values := r.samples[of]
	if median := report.Median(values); median > 0 {
		r.Report.Set(key, 100*(slices.Max(values)-slices.Min(values))/median)
	}
}
