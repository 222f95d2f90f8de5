// Package results writes what a full run found as a page for people: the
// targets, charts of cost against size, and every figure.
package results

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/muster-registry/muster/bench/plot"
)

// drawing is a chart whose points are figures: their keys hold the size.
type drawing struct {
	file, title, x, y string
	lines             []line
	// per divides each figure by its size times this; 0 leaves it as it is.
	per float64
}

// line is one series. In its key, # stands for the size: digits, and k or m for
// thousands or millions.
type line struct{ name, key string }

// drawings are all charts, in the order in which they are shown.
func drawings() []drawing {
	servers := func(before, after string, names ...string) []line {
		var all []line
		for _, n := range names {
			all = append(all, line{n, before + n + after})
		}
		return all
	}
	operations := func(after string) []line {
		return []line{
			{"Register and Deregister", "scaling_register_#" + after},
			{"Update", "scaling_update_#" + after},
			{"KeepAlive of one lease", "scaling_keepalive_#" + after},
			{"Lookup of 1,000", "scaling_lookup_#" + after},
			{"Lookup of 10", "scaling_lookup10_#" + after},
			{"Lookup, unchanged", "scaling_unchanged_#" + after},
			{"delivery, 1 of 100", "scaling_fanout_#" + after},
		}
	}
	const instances, watchers = "instances held, each with its own lease", "watchers of one service"
	return []drawing{
		{file: "scaling-cpu", title: "What an operation costs", x: instances, y: "server CPU, µs per operation", lines: operations("_cpu_us")},
		{file: "scaling-latency", title: "How long an operation takes, 16 workers", x: instances, y: "p50, µs", lines: operations("_p50_us")},
		{
			file: "memory", title: "Memory under load, before the collector has settled", x: instances, y: "resident, KB per instance", per: 1e-3,
			lines: []line{{"Muster", "scaling_rss_#_mb"}},
		},
		{
			file: "restart", title: "kill -9, exec to the first complete lookup", x: "instances", y: "s",
			lines: []line{{"Muster", "restart_#_s"}, {"etcd", "restart_etcd_#_s"}},
		},
		{file: "lookup", title: "What a lookup costs", x: "instances answered", y: "server CPU, µs", lines: servers("lookup_n#_", "_cpu_us", "limit", "muster", "etcd")},
		{file: "fanout-cpu", title: "What a delivery costs", x: watchers, y: "server CPU, µs per delivery", lines: servers("fanout_w#_", "_cpu_us", "limit", "direct", "muster", "etcd")},
		{file: "fanout-rate", title: "Deliveries, one change a frame", x: watchers, y: "deliveries per second", lines: servers("fanout_w#_", "_per_s", "limit", "direct", "muster", "etcd")},
		{file: "fanout-latency", title: "From write to callback, at a moderate rate", x: watchers, y: "p99, ms", lines: servers("fanout_w#_", "_rate_p99_ms", "limit", "direct", "muster", "etcd")},
	}
}

// chart takes a drawing's points from the figures. It is false if no line has
// two of them, since a point shows no growth.
func (d drawing) chart(figures map[string]float64) (plot.Chart, bool) {
	c := plot.Chart{Title: d.title, X: d.x, Y: d.y}
	grows := false
	for _, l := range d.lines {
		s := plot.Series{Name: l.name, Points: points(l.key, figures)}
		if d.per != 0 {
			for i := range s.Points {
				s.Points[i].Y /= s.Points[i].X * d.per
			}
		}
		if len(s.Points) > 0 {
			c.Series = append(c.Series, s)
		}
		grows = grows || len(s.Points) > 1
	}
	return c, grows
}

const sizePattern = "([0-9]+)([km]?)"

// points are the figures of a line, by their size.
func points(key string, figures map[string]float64) []plot.Point {
	pattern := regexp.MustCompile("^" + regexp.MustCompile("#").ReplaceAllLiteralString(regexp.QuoteMeta(key), sizePattern) + "$")
	bySize := map[float64]float64{}
	for name, v := range figures {
		if found := pattern.FindStringSubmatch(name); found != nil {
			bySize[size(found[1], found[2])] = v
		}
	}
	var all []plot.Point
	for _, x := range slices.Sorted(maps.Keys(bySize)) {
		all = append(all, plot.Point{X: x, Y: bySize[x]})
	}
	return all
}

// size reads the digits and the unit of a size. The digits are known to be some.
func size(digits, unit string) float64 {
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		panic(fmt.Sprintf("size %q: %v", digits, err))
	}
	return n * map[string]float64{"": 1, "k": 1e3, "m": 1e6}[unit]
}
