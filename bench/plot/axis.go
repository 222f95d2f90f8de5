package plot

import (
	"math"
	"strconv"
	"strings"
)

// axis maps values to pixels, logarithmically.
type axis struct {
	low, high float64 // of the values; set by include, widened by round
	from, to  float64 // in pixels
}

func newAxis(from, to float64) axis {
	return axis{low: math.Inf(1), high: math.Inf(-1), from: from, to: to}
}

func (a *axis) include(v float64) {
	a.low, a.high = min(a.low, v), max(a.high, v)
}

// round widens the range to steps of 1, 2 and 5, at least a decade of them, so
// that noise of a few per cent does not look like a slope.
func (a *axis) round() {
	a.low, a.high = stepBelow(a.low), stepAbove(a.high)
	for a.high < a.low*10 {
		a.low, a.high = stepBelow(a.low*0.99), stepAbove(a.high*1.01)
	}
}

func (a axis) at(v float64) float64 {
	return a.from + (a.to-a.from)*math.Log(v/a.low)/math.Log(a.high/a.low)
}

// ticks are the decades of the range, or its steps of 1, 2 and 5 if it has few
// decades.
func (a axis) ticks() []float64 {
	few := a.high/a.low <= 1e3
	var all []float64
	for v := a.low; v <= a.high*1.0001; v = stepAbove(v * 1.01) {
		if few || math.Abs(math.Log10(v)-math.Round(math.Log10(v))) < 1e-6 {
			all = append(all, v)
		}
	}
	return all
}

var steps = []float64{1, 2, 5, 10}

// stepAbove is the least of ..., 1, 2, 5, 10, ... that is not below v.
func stepAbove(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, s := range steps {
		if s*decade >= v*0.9999 {
			return s * decade
		}
	}
	return 10 * decade
}

// stepBelow is the greatest of them that is not above v.
func stepBelow(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i]*decade <= v*1.0001 {
			return steps[i] * decade
		}
	}
	return decade
}

// label writes a number as short as it can be read: 12, 1.5 k, 1 M.
func label(v float64) string {
	unit := ""
	switch {
	case v >= 0.9995e6:
		v, unit = v/1e6, " M"
	case v >= 0.9995e3:
		v, unit = v/1e3, " k"
	}
	s := strconv.FormatFloat(v, 'f', 3, 64)
	if v >= 100 {
		s = strconv.FormatFloat(v, 'f', 0, 64)
	} else if v >= 10 {
		s = strconv.FormatFloat(v, 'f', 1, 64)
	}
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + unit
}
