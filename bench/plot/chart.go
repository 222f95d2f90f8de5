// Package plot draws line charts as SVG: enough to show a cost against a size,
// and nothing that needs a library. Both axes are logarithmic, since sizes run
// over decades and costs are compared as ratios.
package plot

import (
	"fmt"
	"math"
	"strings"
)

// Point is one measurement.
type Point struct {
	X, Y float64
}

// Series is one line of a chart. Points that are not above zero are left out.
type Series struct {
	Name   string
	Points []Point
}

// Chart is a chart of lines over logarithmic axes.
type Chart struct {
	// Title stands above the chart.
	Title string
	// X and Y name the axes, with their units.
	X, Y string
	// Series are drawn in order; the palette has seven colours and begins again.
	Series []Series
}

// The chart's measures, in pixels: where the plotted area lies in the picture.
const (
	width, height            = 760, 420
	left, right, top, bottom = 76, 540, 44, 360
	legendStep               = 20
)

// The colours differ in lightness as well, so that a copy without colour can
// still be read.
var palette = []string{"#0b559f", "#d95f02", "#1b9e77", "#7a3b9e", "#b3123b", "#8a6d00", "#444444"}

// SVG draws the chart. It is deterministic: the same chart gives the same
// bytes. It says so in the picture if there is nothing to draw.
func (c Chart) SVG() []byte {
	b := &strings.Builder{}
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(b, `<title>%s</title><rect width="%d" height="%d" fill="#fff"/>`+"\n", escape(c.Title), width, height)
	text(b, left, 24, `font-size="15" font-weight="bold"`, c.Title)
	x, y, ok := c.axes()
	if !ok {
		text(b, left, 80, "", "nothing was measured")
	} else {
		drawAxes(b, c, x, y)
		for i, s := range c.Series {
			drawSeries(b, s, i, x, y)
		}
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// axes finds the ranges that hold every point.
func (c Chart) axes() (x, y axis, ok bool) {
	x, y = newAxis(left, right), newAxis(bottom, top)
	for _, s := range c.Series {
		for _, p := range s.drawable() {
			x.include(p.X)
			y.include(p.Y)
			ok = true
		}
	}
	x.round()
	y.round()
	return x, y, ok
}

func (s Series) drawable() []Point {
	var kept []Point
	for _, p := range s.Points {
		if p.X > 0 && p.Y > 0 && !math.IsInf(p.X, 0) && !math.IsInf(p.Y, 0) {
			kept = append(kept, p)
		}
	}
	return kept
}

func drawAxes(b *strings.Builder, c Chart, x, y axis) {
	for _, v := range x.ticks() {
		at := x.at(v)
		line(b, at, top, at, bottom)
		text(b, at, bottom+18, `text-anchor="middle"`, label(v))
	}
	for _, v := range y.ticks() {
		at := y.at(v)
		line(b, left, at, right, at)
		text(b, left-8, at+4, `text-anchor="end"`, label(v))
	}
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#444"/>`+"\n", left, top, right-left, bottom-top)
	text(b, (left+right)/2, bottom+42, `text-anchor="middle"`, c.X)
	middle := (top + bottom) / 2
	text(b, 18, float64(middle), fmt.Sprintf(`text-anchor="middle" transform="rotate(-90 18 %d)"`, middle), c.Y)
}

func drawSeries(b *strings.Builder, s Series, i int, x, y axis) {
	colour := palette[i%len(palette)]
	var path []string
	points := s.drawable()
	for _, p := range points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(p.Y)))
	}
	if len(path) > 1 {
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), colour)
	}
	for _, p := range points {
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%s: %s, %s</title></circle>`+"\n",
			x.at(p.X), y.at(p.Y), colour, escape(s.Name), label(p.X), label(p.Y))
	}
	at := float64(top + 10 + i*legendStep)
	fmt.Fprintf(b, `<circle cx="%d" cy="%.1f" r="5" fill="%s"/>`+"\n", right+16, at-4, colour)
	text(b, right+28, at, "", s.Name)
}

func line(b *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", x1, y1, x2, y2)
}

func text(b *strings.Builder, x, y float64, attributes, s string) {
	if attributes != "" {
		attributes = " " + attributes
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f"%s>%s</text>`+"\n", x, y, attributes, escape(s))
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(s string) string { return escaper.Replace(s) }
