package validate

import "strings"

// class is a set of classes of bytes.
type class uint8

const (
	lower   class = 1 << iota // a-z, 0-9
	upper                     // A-Z
	dash                      // -
	dot                       // . and _
	colon                     // :
	slash                     // /
	letters = lower | upper
)

var classes = func() (table [256]class) {
	for c := 'a'; c <= 'z'; c++ {
		table[c] = lower
	}
	for c := '0'; c <= '9'; c++ {
		table[c] = lower
	}
	for c := 'A'; c <= 'Z'; c++ {
		table[c] = upper
	}
	table['-'], table['.'], table['_'], table[':'], table['/'] = dash, dot, dot, colon, slash
	return table
}()

// syntax is the rule for one kind of name.
type syntax struct {
	min, max int
	allowed  class
	ends     class // of the first and the last byte
	rule     string
}

var (
	namespaceSyntax = syntax{
		1, 63, lower | dash, lower,
		"must be 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or a digit",
	}
	serviceSyntax = syntax{
		1, 63, lower | dash | dot, lower,
		"must be 1 to 63 of a-z, 0-9, '-', '.' and '_', beginning and ending with a letter or a digit",
	}
	instanceIDSyntax = syntax{
		1, 128, letters | dash | dot | colon, letters,
		"must be 1 to 128 of a-z, A-Z, 0-9, '-', '.', '_' and ':', beginning and ending with a letter or a digit",
	}
	regionSuffixSyntax = syntax{1, 63, letters | dash | dot, letters | dash | dot, ""}
	endpointNameSyntax = syntax{1, 63, lower | dash, lower | dash, "must be 1 to 63 of a-z, 0-9 and '-'"}
	keySyntax          = syntax{
		1, 63, letters | dash | dot | slash, letters | dash | dot | slash,
		"must be 1 to 63 of a-z, A-Z, 0-9, '-', '.', '_' and '/'",
	}
	requestIDSyntax = syntax{16, 64, letters | dash, letters | dash, "must be 16 to 64 of a-z, A-Z, 0-9 and '-', chosen at random"}
)

func (s *syntax) allows(name string) bool {
	if len(name) < s.min || len(name) > s.max {
		return false
	}
	for i := range len(name) {
		if classes[name[i]]&s.allowed == 0 {
			return false
		}
	}
	return classes[name[0]]&s.ends != 0 && classes[name[len(name)-1]]&s.ends != 0
}

// Namespace tells whether a name is that of a namespace.
func Namespace(name string) bool { return namespaceSyntax.allows(name) }

// Service tells whether a name is that of a service.
func Service(name string) bool { return serviceSyntax.allows(name) }

// InstanceID tells whether an id is one that a process may register.
func InstanceID(id string) bool { return instanceIDSyntax.allows(id) }

// AnyInstanceID tells whether an id is one that a watcher may see: one that a
// process may register, or one that was imported, "id@region".
func AnyInstanceID(id string) bool {
	local, region, imported := strings.Cut(id, "@")
	return instanceIDSyntax.allows(local) && (!imported || regionSuffixSyntax.allows(region))
}

// servicePrefix tells whether some service name could begin so.
func servicePrefix(prefix string) bool {
	return prefix == "" || serviceSyntax.allows(prefix) || len(prefix) < serviceSyntax.max && serviceSyntax.allows(prefix+"a")
}

func (r *report) checkSyntax(at *path, name, value string, s *syntax) {
	if !s.allows(value) {
		r.refuse(at, name, value, s.rule)
	}
}
