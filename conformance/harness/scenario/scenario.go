// Package scenario reads the language of conformance/scenarios: one statement a
// line, for people to read first and for the harness to play. README.md of
// conformance describes every statement.
package scenario

import (
	"fmt"
	"time"

	"github.com/muster-registry/muster/conformance/harness/trace"
)

// DefaultTimeout bounds a scenario that names no bound of its own.
const DefaultTimeout = 90 * time.Second

// Scenario is one file.
type Scenario struct {
	// Name is the file's name without folder and ending.
	Name string
	// About is the comment that the file begins with: the complaint, story or
	// rule that it is about.
	About []string
	// Needs are what the registry must be able to do, such as "durable".
	Needs []string
	// Timeout bounds the whole of it.
	Timeout time.Duration
	// Steps in order.
	Steps []Step
}

// Kind is what a statement is.
type Kind int

const (
	// Act does something to the registry, a proxy or the testee.
	Act Kind = iota + 1
	// Command is sent to the testee and answered before the next step.
	Command
	// Send is a Command whose answer is not waited for.
	Send
	// Repeat is a Command that is sent again and again until its answer matches.
	Repeat
	// Answer looks at the answer of a command.
	Answer
	// Expect looks at what a channel shows.
	Expect
)

// Step is one statement.
type Step struct {
	// Line in the file.
	Line int
	// Text of the statement, as written.
	Text string
	// Kind of the statement.
	Kind Kind
	// Least and Most are when it must come true, counted from the end of the
	// step before; 0 is at once and the default.
	Least, Most time.Duration
	// Verb of an Act or a Command; of an Expect, what is done with the channel:
	// "event", "quiet", "reaches", "ignore".
	Verb string
	// Channel of an Expect, client of a Command ("" is the usual one).
	Channel string
	// Args of an Act or a Command; kinds of events for "ignore".
	Args []string
	// Options of an Act or a Command.
	Options map[string]string
	// Pattern that an answer or an event must match.
	Pattern trace.Pattern
	// Pause of "quiet".
	Pause time.Duration
}

// An Error says what is wrong with a file, and where.
type Error struct {
	// Path of the file.
	Path string
	// Line, from 1.
	Line int
	// Problem and what to do about it.
	Problem string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Problem) }
