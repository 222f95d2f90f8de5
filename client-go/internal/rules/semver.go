package rules

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxVersionBytes bounds the text of one version.
const MaxVersionBytes = 128

// Version is a semantic version (semver.org, 2.0.0) without its build part,
// which has no precedence. Only ASCII is a version, and numbers are 64 bits
// wide; greater ones are refused, also as prerelease identifiers.
type Version struct {
	// Major, Minor and Patch are the three numbers.
	Major, Minor, Patch uint64
	// Prerelease is what follows the '-', without it; empty for a release.
	Prerelease string
}

// ParseVersion reads a version. The error says what is wrong and what is
// expected, without repeating the whole text.
func ParseVersion(text string) (Version, error) {
	if len(text) > MaxVersionBytes {
		return Version{}, fmt.Errorf("is %d bytes long, at most %d are allowed", len(text), MaxVersionBytes)
	}
	if strings.HasPrefix(text, "v") || strings.HasPrefix(text, "V") {
		return Version{}, errors.New(`begins with "v"; a semantic version begins with a digit`)
	}
	core, build, hasBuild := strings.Cut(text, "+")
	if hasBuild {
		if err := checkIdentifiers(build, "build part", false); err != nil {
			return Version{}, err
		}
	}
	core, prerelease, hasPrerelease := strings.Cut(core, "-")
	if hasPrerelease {
		if err := checkIdentifiers(prerelease, "prerelease", true); err != nil {
			return Version{}, err
		}
	}
	v, err := parseCore(core)
	v.Prerelease = prerelease
	return v, err
}

// parseCore reads "major.minor.patch".
func parseCore(core string) (v Version, err error) {
	if strings.Count(core, ".") != 2 {
		return v, errors.New("needs exactly three numbers, major.minor.patch, such as 1.2.0")
	}
	major, rest, _ := strings.Cut(core, ".")
	minor, patch, _ := strings.Cut(rest, ".")
	if v.Major, err = parseNumber(major); err != nil {
		return v, fmt.Errorf("major number %w", err)
	}
	if v.Minor, err = parseNumber(minor); err != nil {
		return v, fmt.Errorf("minor number %w", err)
	}
	if v.Patch, err = parseNumber(patch); err != nil {
		return v, fmt.Errorf("patch number %w", err)
	}
	return v, nil
}

// parseNumber reads a number without sign, leading zero or anything but digits.
func parseNumber(text string) (uint64, error) {
	if text == "" || !isNumeric(text) {
		return 0, errors.New("must be digits only")
	}
	if text != "0" && text[0] == '0' {
		return 0, errors.New("must not begin with 0")
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errors.New("must be below 2^64")
	}
	return n, nil
}

// checkIdentifiers checks the dot-separated parts of a prerelease or build.
// The numeric ones of a prerelease are compared as numbers, and so are checked.
func checkIdentifiers(text, what string, numbers bool) error {
	for identifier := range strings.SplitSeq(text, ".") {
		if identifier == "" {
			return fmt.Errorf("%s has an empty identifier", what)
		}
		for i := range len(identifier) {
			if !isIdentifierByte(identifier[i]) {
				return fmt.Errorf("%s may hold only a-z, A-Z, 0-9, '-' and '.'", what)
			}
		}
		if numbers && isNumeric(identifier) {
			if _, err := parseNumber(identifier); err != nil {
				return fmt.Errorf("%s identifier that is a number %w", what, err)
			}
		}
	}
	return nil
}

func isIdentifierByte(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNumeric(text string) bool {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return false
		}
	}
	return true
}

// String writes the version without its build part.
func (v Version) String() string {
	text := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	if v.Prerelease != "" {
		text += "-" + v.Prerelease
	}
	return text
}

// Compare orders versions by precedence: negative if v comes before w.
func (v Version) Compare(w Version) int {
	return cmp.Or(v.compareCore(w), comparePrerelease(v.Prerelease, w.Prerelease))
}

func (v Version) compareCore(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

// comparePrerelease orders prereleases of one core: a release is above all of
// them, and of two that begin alike the longer one is above.
func comparePrerelease(a, b string) int {
	if a == "" || b == "" {
		return compareBool(a == "", b == "")
	}
	for moreA, moreB := true, true; ; {
		if !moreA || !moreB {
			return compareBool(moreA, moreB)
		}
		var x, y string
		x, a, moreA = strings.Cut(a, ".")
		y, b, moreB = strings.Cut(b, ".")
		if c := compareIdentifier(x, y); c != 0 {
			return c
		}
	}
}

// compareIdentifier orders numbers below words, numbers by value, words by
// bytes. Numbers have no leading zeros, so the longer one is the greater.
func compareIdentifier(a, b string) int {
	numericA, numericB := isNumeric(a), isNumeric(b)
	switch {
	case numericA != numericB:
		return compareBool(numericB, numericA)
	case numericA:
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	default:
		return strings.Compare(a, b)
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
