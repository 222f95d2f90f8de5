package main

import "math/bits"

// high is the high word of a 64x64 bit product: word scaled to 0..n-1.
func high(word, n uint64) uint64 {
	h, _ := bits.Mul64(word, n)
	return h
}

type backoffVectors struct {
	About string
	Cases []backoffCase
}

type backoffCase struct {
	Attempt int
	CapMs   uint64
	Word    string
	DelayMs uint64
}

const (
	floorMs = 50
	baseMs  = 200
)

// words are the ends, the middle and one that is nothing special.
var words = []uint64{0, 1 << 63, 0x9e3779b97f4a7c15, maxUint64}

func backoffFile() backoffVectors {
	v := backoffVectors{About: "delay = 50 + high64(word * (min(cap, 200 * 2^failures) - 50)), whole milliseconds; " +
		"never below 50. failures in a row begin anew after a stream that delivered and lived 10 s. See docs/protocol.md, section 8.2."}
	for _, capMs := range []uint64{5000, 333, 200, 60, 51, 50, 10} {
		for _, attempt := range []int{0, 1, 2, 4, 5, 32, 33, 63, 64, 1000} {
			for _, word := range words {
				if capMs != 5000 && word != maxUint64 && attempt != 1 {
					continue // the small caps are about their ends
				}
				v.Cases = append(v.Cases, backoffCase{attempt, capMs, decimal(word), delay(attempt, capMs, word)})
			}
		}
	}
	return v
}

func delay(attempt int, capMs, word uint64) uint64 {
	ceiling := uint64(baseMs)
	for range attempt {
		ceiling = min(2*ceiling, capMs)
	}
	ceiling = min(ceiling, capMs)
	if ceiling <= floorMs {
		return floorMs
	}
	return floorMs + high(word, ceiling-floorMs)
}

type keepaliveVectors struct {
	About string
	Cases []keepaliveCase
}

type keepaliveCase struct {
	TTLMs uint64
	Word  string
	DueMs uint64
}

func keepaliveFile() keepaliveVectors {
	v := keepaliveVectors{About: "third = ttl / 3; due = third - high64(word * (third / 5 + 1)), whole milliseconds after the sending of the last keepalive; " +
		"an answer is awaited for a third, which with at most 5000 caps backoff. See docs/protocol.md, section 8.1."}
	for _, ttl := range []uint64{0, 2, 3, 14, 15, 1000, 1001, 1999, 15_000, 15_003, 60_000, 3_600_000} {
		for _, word := range words {
			third := ttl / 3
			v.Cases = append(v.Cases, keepaliveCase{ttl, decimal(word), third - high(word, third/5+1)})
		}
	}
	return v
}

type freshnessVectors struct {
	About string
	Cases []freshnessCase
}

type freshnessCase struct {
	FreshForMs, StaleForMs int64
	Doubtful               bool
	Name                   string
	Frames                 []freshnessFrame
	Then                   []freshnessAt
}

// freshnessFrame is a frame of one stream; AgeMs is the age at its receipt.
type freshnessFrame struct {
	ReceivedMs     int64
	ServerUptimeMs int64
	DataAgeMs      int64
	AgeMs          int64
}

// freshnessAt is the age at a later time, after the last frame.
type freshnessAt struct {
	NowMs     int64
	AgeMs     int64
	Freshness string
}

func freshnessFile() freshnessVectors {
	return freshnessVectors{
		About: "d = received - server_uptime of a frame; age = data_age + (d - smallest d of the stream so far) + (now - received). " +
			"FRESH below 30000, STALE below 600000, EXPIRED from there. See docs/protocol.md, section 4.5.",
		Cases: []freshnessCase{
			freshnessOf("the first frame sets the base", [][3]int64{{1000, 500_000, 0}}, 1000, 1700, 30_999, 31_000, 600_999, 601_000),
			freshnessOf("the age of the server's data counts", [][3]int64{{1000, 7, 2500}}, 1000, 28_499, 28_500),
			freshnessOf("a frame that was under way longer", [][3]int64{{1000, 10_000, 0}, {2400, 11_000, 250}}, 2400, 3000),
			freshnessOf("a faster frame becomes the base", [][3]int64{{1000, 10_000, 0}, {1900, 11_000, 0}, {3000, 12_000, 0}}, 3000, 3001),
			freshnessOf("a burst that lay in a queue", [][3]int64{{1000, 1000, 0}, {41_000, 2000, 0}, {41_000, 40_999, 0}}, 41_000, 71_000),
			freshnessOf("the last frame of that burst stuck", [][3]int64{{1000, 1000, 0}, {41_000, 2000, 0}}, 41_000),
			freshnessOf("a server that is isolated goes on sending", [][3]int64{{1000, 1000, 0}, {11_000, 11_000, 10_000}, {21_000, 21_000, 20_000}, {31_000, 31_000, 30_000}}, 31_000),
			freshnessOf("old data at once", [][3]int64{{5, 1, 600_000}}, 5),
			freshnessOf("a clock that went backwards gives no negative age", [][3]int64{{1000, 1000, 0}}, 999, 0, -5),
			freshnessOf("no frame at all: the clock's own beginning", nil, 0, 29_999, 30_000),
			judged("bounds of one's own", 1, 2, false, [][3]int64{{0, 0, 0}}, 0, 1, 2),
			judged("in doubt it is never fresh", 30_000, 600_000, true, [][3]int64{{0, 0, 0}}, 0, 30_000, 599_999, 600_000),
			judged("bounds that are out of order", 20, 10, false, [][3]int64{{0, 0, 0}}, 9, 10, 19, 20),
			freshnessOf("long after", [][3]int64{{0, 0, 0}}, 29_999, 30_000, 599_999, 600_000, 86_400_000),
		},
	}
}

func freshnessOf(name string, frames [][3]int64, at ...int64) freshnessCase {
	return judged(name, 30_000, 600_000, false, frames, at...)
}

// judged is a case with bounds of its own.
func judged(name string, freshFor, staleFor int64, doubtful bool, frames [][3]int64, at ...int64) freshnessCase {
	c := freshnessCase{Name: name, FreshForMs: freshFor, StaleForMs: staleFor, Doubtful: doubtful}
	var last freshnessFrame
	var smallest int64
	for i, f := range frames {
		d := f[0] - f[1]
		if i == 0 || d < smallest {
			smallest = d
		}
		last = freshnessFrame{f[0], f[1], f[2], f[2] + d - smallest}
		c.Frames = append(c.Frames, last)
	}
	for _, now := range at {
		age := max(last.AgeMs+now-last.ReceivedMs, 0)
		state := "FRESH"
		if age >= staleFor {
			state = "EXPIRED"
		} else if age >= freshFor || doubtful {
			state = "STALE"
		}
		c.Then = append(c.Then, freshnessAt{now, age, state})
	}
	return c
}
