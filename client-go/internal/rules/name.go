package rules

import "fmt"

// nameRule is what one kind of name may be.
type nameRule struct {
	// what the name is of, for errors.
	what string
	// allowed are its characters, chars the same for errors.
	allowed func(byte) bool
	chars   string
	// edges: the first and the last must be a letter or a digit.
	edges bool
}

const longestName = 63

var (
	namespaceRule = nameRule{"namespace", func(c byte) bool { return isLower(c) || c == '-' }, "a-z, 0-9 and '-'", true}
	serviceRule   = nameRule{"service", func(c byte) bool {
		return isLower(c) || c == '-' || c == '.' || c == '_'
	}, "a-z, 0-9, '-', '.' and '_'", true}
	endpointRule = nameRule{"endpoint name", func(c byte) bool { return isLower(c) || c == '-' }, "a-z, 0-9 and '-'", false}
)

// check says what is wrong with a name that begins at byte `at` of a longer
// text; empty if nothing is.
func (r nameRule) check(name string, at int) string {
	if name == "" {
		return fmt.Sprintf("byte %d: the %s is empty", at, r.what)
	}
	for i := range len(name) {
		if !r.allowed(name[i]) {
			return fmt.Sprintf("byte %d: %s cannot be in the %s, which is of %s", at+i, Quote(name[i:i+1]), r.what, r.chars)
		}
	}
	switch {
	case len(name) > longestName:
		return fmt.Sprintf("byte %d: the %s is %d bytes long, at most %d are allowed", at, r.what, len(name), longestName)
	case r.edges && (!isLower(name[0]) || !isLower(name[len(name)-1])):
		return fmt.Sprintf("byte %d: the %s must begin and end with a letter or digit", at, r.what)
	default:
		return ""
	}
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' || isDigit(c) }
