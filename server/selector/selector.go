// Package selector compiles the selectors of the contract into a form that is
// fast to match and has one canonical encoding.
//
// Two selectors that name equal sets have the same canonical bytes, and so
// the same view_id at every server: that is what lets watchers share frames
// and clients resume anywhere. docs/protocol.md gives the encoding byte for
// byte, and conformance/vectors/view_id.json holds it in place.
//
// A compiled [Selector] is immutable and may be used from several goroutines.
// Nothing here blocks, and matching does not allocate.
package selector

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// FilterVersion numbers the meaning of filters. It is part of every view_id:
// a server that filters differently than another one must not let a client
// resume a view of the other.
const FilterVersion uint32 = 1

// ServiceName is the full name of a service.
type ServiceName struct {
	// Namespace is the namespace of the service.
	Namespace string
	// Service is its name within the namespace.
	Service string
}

// Compare orders names by namespace, then service, both as bytes.
func (n ServiceName) Compare(other ServiceName) int {
	if c := strings.Compare(n.Namespace, other.Namespace); c != 0 {
		return c
	}
	return strings.Compare(n.Service, other.Service)
}

// String writes "namespace/service".
func (n ServiceName) String() string { return n.Namespace + "/" + n.Service }

// Selector is a compiled selector.
type Selector struct {
	exact     []ServiceName // sorted, unique; nil for a prefix
	byPrefix  bool
	namespace string // of the prefix; empty is every namespace
	prefix    string
	filter    filter
	canonical []byte
}

// Compile checks what the canonical form needs and compiles. It accepts names
// that no server would register, since they match nothing; package validate
// is where limits and names are checked. The message is not kept.
//
// Errors name the field and what is allowed.
func Compile(message *musterv1.Selector) (*Selector, error) {
	s := &Selector{}
	if err := s.compileNames(message); err != nil {
		return nil, err
	}
	if err := s.filter.compile(message.GetFilter()); err != nil {
		return nil, err
	}
	s.canonical = s.appendCanonical(nil)
	return s, nil
}

// Canonical returns the canonical encoding. The caller must not change it.
func (s *Selector) Canonical() []byte { return s.canonical }

// ViewID is the identity of the view that the selector gives to clients of an
// access class: XXH64 of the canonical bytes, the class and [FilterVersion].
// It is never 0, which stands for "no view".
func (s *Selector) ViewID(accessClass string) uint64 {
	buf := make([]byte, 0, len(s.canonical)+len(accessClass)+8)
	buf = append(buf, s.canonical...)
	buf = appendString(buf, accessClass)
	buf = binary.LittleEndian.AppendUint32(buf, FilterVersion)
	if id := xxhash.Sum64(buf); id != 0 {
		return id
	}
	return 1
}

// Services returns the services that the selector names, sorted, each once;
// ok is false if it names a prefix. The caller must not change the slice.
func (s *Selector) Services() (exact []ServiceName, ok bool) { return s.exact, !s.byPrefix }

// Prefix returns the namespace and prefix that the selector names; ok is
// false if it names services. An empty namespace means every namespace.
func (s *Selector) Prefix() (namespace, prefix string, ok bool) {
	return s.namespace, s.prefix, s.byPrefix
}

// MatchesService tells whether the selector names the service.
func (s *Selector) MatchesService(namespace, service string) bool {
	if s.byPrefix {
		return (s.namespace == "" || s.namespace == namespace) && strings.HasPrefix(service, s.prefix)
	}
	_, found := slices.BinarySearchFunc(s.exact, ServiceName{namespace, service}, ServiceName.Compare)
	return found
}

// Filtered tells whether the selector filters instances. If it does not, every
// instance of its services matches, and need not be decoded.
func (s *Selector) Filtered() bool { return s.filter.set }

// Match tells whether the selector names the instance's service and the
// instance passes the filter.
func (s *Selector) Match(instance *musterv1.Instance) bool {
	return s.MatchesService(instance.GetNamespace(), instance.GetService()) && s.Passes(instance)
}

// Passes tells whether an instance passes the filter, for callers that know
// already that the selector names its service.
func (s *Selector) Passes(instance *musterv1.Instance) bool {
	return !s.filter.set || s.filter.matches(instance)
}
