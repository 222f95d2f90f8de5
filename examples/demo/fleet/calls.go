package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Calls are the calls of one caller within some time.
type Calls struct {
	// OK and Failed count them.
	OK, Failed uint64
	// ByInstance counts those that succeeded, by who answered.
	ByInstance map[string]uint64
	// Failures are those that failed, with code, reason and message, as far as
	// the caller wrote them down.
	Failures []Event
}

// Made is how many calls were made.
func (c Calls) Made() uint64 { return c.OK + c.Failed }

// Calls sums up the caller's calls from a mark on.
func (c *Caller) Calls(mark int) Calls { return Sum(c.Journal.Since(mark)) }

// Sum sums up the calls that events tell of.
func Sum(events []Event) Calls {
	sum := Calls{ByInstance: map[string]uint64{}}
	for _, e := range events {
		switch e.Event {
		case EventFailed:
			sum.Failures = append(sum.Failures, e)
		case EventCalls:
			sum.OK += e.OK
			sum.Failed += e.Failed
			for id, n := range e.ByInstance {
				sum.ByInstance[id] += n
			}
		}
	}
	return sum
}

// Why describes the failures, equal ones together; empty if there are none.
func (c Calls) Why() string {
	count := map[string]int{}
	for _, f := range c.Failures {
		count[fmt.Sprintf("%s %s %s", f.Code, f.Reason, f.Message)]++
	}
	lines := make([]string, 0, len(count))
	for _, what := range slices.Sorted(maps.Keys(count)) {
		lines = append(lines, fmt.Sprintf("%d x %s", count[what], what))
	}
	return strings.Join(lines, "\n")
}
