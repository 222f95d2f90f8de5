package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSVGIsWellFormed(t *testing.T) {
	charts := map[string]Chart{
		"empty":     {Title: "a < b & c"},
		"one point": {Title: "t", Series: []Series{{Name: `"x"`, Points: []Point{{1000, 3}}}}},
		"many": {Title: "t", X: "instances", Y: "µs", Series: []Series{
			{Name: "a", Points: []Point{{1e3, 20}, {1e4, 21}, {1e6, 30}}},
			{Name: "b", Points: []Point{{1e3, 0}, {1e6, 0.002}}},
		}},
	}
	for name, c := range charts {
		t.Run(name, func(t *testing.T) {
			d := xml.NewDecoder(strings.NewReader(string(c.SVG())))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					return
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestSVGLeavesOutWhatHasNoLogarithm(t *testing.T) {
	c := Chart{Series: []Series{{Name: "a", Points: []Point{{1, 0}, {10, 5}, {100, -1}}}}}
	if got := strings.Count(string(c.SVG()), "<title>a:"); got != 1 {
		t.Errorf("%d points drawn, want 1", got)
	}
}

func TestAxis(t *testing.T) {
	a := newAxis(0, 300)
	a.include(1200)
	a.include(900_000)
	a.round()
	if a.low != 1000 || a.high != 1_000_000 {
		t.Errorf("range %v to %v, want 1000 to 1000000", a.low, a.high)
	}
	if got := a.at(10_000); got < 99.9 || got > 100.1 {
		t.Errorf("10,000 lies at %v, want 100", got)
	}
	narrow := newAxis(0, 1)
	narrow.include(20)
	narrow.round()
	if narrow.high < 10*narrow.low {
		t.Errorf("range %v to %v is less than a decade", narrow.low, narrow.high)
	}
}

func TestLabel(t *testing.T) {
	got := []string{label(0.002), label(1), label(12.34), label(250), label(1000), label(1500), label(1e6), label(2.5e6)}
	want := []string{"0.002", "1", "12.3", "250", "1 k", "1.5 k", "1 M", "2.5 M"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
