package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxRangeBytes bounds the text of one range.
const MaxRangeBytes = 1024

// operators of ranges. Longer ones come first, so that the first one that fits
// is the right one.
var operators = []string{"!=", "<=", ">=", "=", "<", ">"}

// comparator is one condition of a range.
type comparator struct {
	operator string
	version  Version
	text     string // normalised: operator and version, without build part
}

// Range is a conjunction of comparators. The zero Range is the empty one,
// which everything matches. It is immutable.
type Range struct {
	comparators []comparator // sorted by text, without duplicates
}

// ParseRange reads comparators that are joined by spaces: =, !=, <, <=, > or
// >=, followed at once by a version. A version alone means "=". The empty text
// is the empty range; a text of nothing but spaces is an error.
func ParseRange(text string) (Range, error) {
	if text == "" {
		return Range{}, nil
	}
	if len(text) > MaxRangeBytes {
		return Range{}, fmt.Errorf("is %d bytes long, at most %d are allowed", len(text), MaxRangeBytes)
	}
	var r Range
	for part := range strings.SplitSeq(text, " ") {
		if part == "" {
			continue
		}
		c, err := parseComparator(part)
		if err != nil {
			return Range{}, err
		}
		r.comparators = append(r.comparators, c)
	}
	if r.Empty() {
		return Range{}, errors.New("holds no comparator; leave it empty to match every version")
	}
	slices.SortFunc(r.comparators, func(a, b comparator) int { return strings.Compare(a.text, b.text) })
	r.comparators = slices.CompactFunc(r.comparators, func(a, b comparator) bool { return a.text == b.text })
	return r, nil
}

func parseComparator(part string) (comparator, error) {
	op, rest := "=", part
	for _, o := range operators {
		if after, ok := strings.CutPrefix(part, o); ok {
			op, rest = o, after
			break
		}
	}
	if rest == "" {
		return comparator{}, fmt.Errorf("has %s without a version; write them without a space in between", Quote(part))
	}
	v, err := ParseVersion(rest)
	if err != nil {
		return comparator{}, fmt.Errorf("comparator %s: version %w", Quote(part), err)
	}
	return comparator{op, v, op + v.String()}, nil
}

// Empty tells whether the range has no comparator.
func (r Range) Empty() bool { return len(r.comparators) == 0 }

// String is the normalised form: comparators sorted as bytes, each once,
// joined by one space, "=" written out, build parts left out. Ranges of equal
// comparators have equal forms.
func (r Range) String() string {
	texts := make([]string, len(r.comparators))
	for i, c := range r.comparators {
		texts[i] = c.text
	}
	return strings.Join(texts, " ")
}

// Match tells whether every comparator holds. A prerelease matches only if
// some comparator (whichever its operator) names a prerelease of the same
// major.minor.patch, so that ">=1.0.0" never brings 2.0.0-alpha by surprise.
func (r Range) Match(v Version) bool {
	named := v.Prerelease == "" || r.Empty()
	for _, c := range r.comparators {
		if !c.holds(v) {
			return false
		}
		named = named || c.version.Prerelease != "" && c.version.compareCore(v) == 0
	}
	return named
}

func (c comparator) holds(v Version) bool {
	order := v.Compare(c.version)
	switch c.operator {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// MatchText tells whether the range matches an instance's version field. An
// instance without a version, or with one that is none, matches only the
// empty range.
func (r Range) MatchText(version string) bool {
	if r.Empty() {
		return true
	}
	v, err := ParseVersion(version)
	return err == nil && r.Match(v)
}

// SemverMatches tells whether the text of a range matches the text of a
// version. A text that is no range matches nothing.
func SemverMatches(text, version string) bool {
	r, err := ParseRange(text)
	return err == nil && r.MatchText(version)
}
