package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Name of the setting as in the file, or the unknown name as it was given.
	Name string
	// Value as it was given; empty for an unknown name.
	Value string
	// Place is where it was given, such as "flag --listen".
	Place string
	// Text says what is wrong and what is allowed.
	Text string
}

// String is the problem in one line.
func (p Problem) String() string {
	if p.Name == "" {
		return p.Place + ": " + p.Text
	}
	if p.Value == "" {
		return fmt.Sprintf("%s (%s): %s", p.Name, p.Place, p.Text)
	}
	return fmt.Sprintf("%s: %s (%s): %s", p.Name, strconv.Quote(p.Value), p.Place, p.Text)
}

// Error is everything that is wrong with a configuration.
type Error struct {
	// Problems, one per setting at most, in the order of the settings; unknown
	// names come first.
	Problems []Problem
}

// Error implements error: one line for one problem, else one line each.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problems:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}
