package validate

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// Plain is a Register request of the kind that nearly all are: instances
// without shard, checks and self_health, and no claim on an earlier lease. It
// was read, checked and normalised in one walk over its encoded form, which
// takes a fraction of what decoding it takes.
//
// Nothing is decided here that [Validator.Register] and [Normalise] do not
// decide: what they would refuse, or anything unusual, is not plain, and has to
// go by them. A test holds the two to the same results.
type Plain struct {
	Instances []PlainInstance
	// TTL is the default if the request gives none.
	TTL       time.Duration
	RequestID string

	scratch plainInstance
	bodies  []byte
}

// PlainInstance is one instance of a plain request.
type PlainInstance struct {
	Namespace, Service, ID string
	// Body is the instance as it is stored, encoded, without what the server
	// adds. It is good until Release.
	Body []byte

	begin, end int // of the body, while the memory of all bodies may move
}

// The bounds of what is plain, where they are below those of the contract.
const (
	plainEndpoints    = 8
	plainMetadata     = 16
	plainCapabilities = 16
	plainSeconds      = 1 << 32
)

var plains = sync.Pool{New: func() any { return &Plain{} }}

// Plain reads a plain request. If it returns nil, the request is not plain; it
// may be valid nonetheless. The caller releases what it got.
func (v *Validator) Plain(request []byte) *Plain {
	p := plains.Get().(*Plain)
	p.Instances, p.bodies = p.Instances[:0], p.bodies[:0]
	p.TTL, p.RequestID = DefaultTTL, ""
	if !p.read(v, string(request)) {
		p.Release()
		return nil
	}
	for i := range p.Instances {
		in := &p.Instances[i]
		in.Body = p.bodies[in.begin:in.end:in.end]
	}
	return p
}

// Release gives its memory back. Nothing of it may be used any more.
func (p *Plain) Release() {
	clear(p.Instances)
	p.scratch = plainInstance{}
	p.RequestID = ""
	plains.Put(p)
}

func (p *Plain) read(v *Validator, request string) bool {
	t := wireText{rest: request}
	for last := 0; t.next(); last = t.number {
		switch {
		case t.number < last || t.number == last && last != 1:
			return false // twice or out of order: to be merged by rules of its own
		case t.number == 1 && t.isBytes:
			if len(p.Instances) == v.limits.InstancesPerLease || !p.readInstance(v, t.bytes) {
				return false
			}
		case t.number == 2 && t.isBytes:
			if !p.readTTL(t.bytes) {
				return false
			}
		case t.number == 3 && t.isBytes:
			p.RequestID = t.bytes
		default:
			return false
		}
	}
	return !t.bad && len(p.Instances) > 0 && requestIDSyntax.allows(p.RequestID) &&
		p.TTL >= v.limits.MinTTL && p.TTL <= v.limits.MaxTTL && distinct(p.Instances)
}

func (p *Plain) readTTL(duration string) bool {
	t := wireText{rest: duration}
	var seconds, nanos uint64
	for last := 0; t.next(); last = t.number {
		switch {
		case t.number <= last || t.isBytes:
			return false
		case t.number == 1 && t.value < plainSeconds:
			seconds = t.value
		case t.number == 2 && t.value < uint64(time.Second):
			nanos = t.value
		default:
			return false
		}
	}
	p.TTL = time.Duration(seconds)*time.Second + time.Duration(nanos) //nolint:gosec // both are bounded
	return !t.bad && nanos%uint64(time.Millisecond) == 0
}

// distinct is quick if they ascend, as those that a program counts up do.
func distinct(instances []PlainInstance) bool {
	ascending := true
	for i := 1; i < len(instances) && ascending; i++ {
		ascending = instances[i-1].compare(&instances[i]) < 0
	}
	if ascending {
		return true
	}
	for i := range instances {
		for j := range i {
			if instances[i].compare(&instances[j]) == 0 {
				return false
			}
		}
	}
	return true
}

func (i *PlainInstance) compare(o *PlainInstance) int {
	return cmp.Or(strings.Compare(i.ID, o.ID), strings.Compare(i.Service, o.Service), strings.Compare(i.Namespace, o.Namespace))
}

func (p *Plain) readInstance(v *Validator, instance string) bool {
	in := &p.scratch
	if !in.read(instance) || !in.valid() {
		return false
	}
	// The decoded form may take a little more than the encoded one: a pair of
	// metadata may come without its value, or its key.
	if len(instance)+4*len(in.metadata.all()) > v.limits.InstanceBytes {
		return false
	}
	in.normalise()
	begin := len(p.bodies)
	p.bodies = in.append(p.bodies)
	p.Instances = append(p.Instances, PlainInstance{
		Namespace: in.namespace, Service: in.service, ID: in.id, begin: begin, end: len(p.bodies),
	})
	return true
}

// list is a short list that needs no memory of its own.
type list[T any] struct {
	items [16]T
	n     int
}

func (l *list[T]) all() []T { return l.items[:l.n] }

func (l *list[T]) add(item T, limit int) bool {
	if l.n == limit {
		return false
	}
	l.items[l.n] = item
	l.n++
	return true
}

type plainPair struct{ key, value string }

type plainEndpoint struct {
	name, address, serverName, authority string
	protocol, security                   uint64
}

// plainInstance is an instance that is being read.
type plainInstance struct {
	namespace, service, id, version string
	region, zone                    string
	endpoints                       list[plainEndpoint]
	metadata                        list[plainPair]
	capabilities                    list[string]
	weight, lifecycle, schema       uint64
}

func (in *plainInstance) valid() bool {
	if in.version != "" && !isVersion(in.version) {
		return false
	}
	for i := range in.endpoints.all() {
		if !in.endpoints.items[i].valid() {
			return false
		}
	}
	size := 0
	for i, m := range in.metadata.all() {
		if !keySyntax.allows(m.key) || slices.ContainsFunc(in.metadata.items[:i], func(o plainPair) bool { return o.key == m.key }) {
			return false
		}
		size += len(m.key) + len(m.value)
	}
	for _, c := range in.capabilities.all() {
		if !keySyntax.allows(c) {
			return false
		}
	}
	return namespaceSyntax.allows(in.namespace) && serviceSyntax.allows(in.service) && instanceIDSyntax.allows(in.id) &&
		len(in.region) <= MaxLocalityBytes && len(in.zone) <= MaxLocalityBytes && size <= MaxMetadataBytes &&
		in.weight <= MaxWeight && in.lifecycle <= uint64(musterv1.Lifecycle_LIFECYCLE_SERVING) && in.schema <= math.MaxUint32 &&
		in.sortLists()
}

func (e *plainEndpoint) valid() bool {
	return endpointNameSyntax.allows(e.name) && addressProblem(e.address) == "" &&
		e.protocol <= uint64(musterv1.Protocol_PROTOCOL_UDP) &&
		e.security <= uint64(musterv1.TransportSecurity_TRANSPORT_SECURITY_MUTUAL_TLS) &&
		(e.serverName == "" || isDNSName(e.serverName) || isAddress(e.serverName)) && isAuthority(e.authority)
}

// sortLists sorts, and tells whether names are distinct.
func (in *plainInstance) sortLists() bool {
	endpoints, capabilities := in.endpoints.all(), in.capabilities.all()
	if len(endpoints) > 1 {
		slices.SortFunc(endpoints, func(a, b plainEndpoint) int { return strings.Compare(a.name, b.name) })
	}
	slices.Sort(capabilities)
	for i := 1; i < len(endpoints); i++ {
		if endpoints[i].name == endpoints[i-1].name {
			return false
		}
	}
	for i := 1; i < len(capabilities); i++ {
		if capabilities[i] == capabilities[i-1] {
			return false
		}
	}
	return true
}

// normalise fills in defaults; the rest of what Normalise does is in read, in
// sortLists and in append.
func (in *plainInstance) normalise() {
	in.lifecycle = cmp.Or(in.lifecycle, uint64(musterv1.Lifecycle_LIFECYCLE_SERVING))
	for i := range in.endpoints.all() {
		e := &in.endpoints.items[i]
		e.protocol = cmp.Or(e.protocol, uint64(musterv1.Protocol_PROTOCOL_GRPC))
		e.security = cmp.Or(e.security, uint64(musterv1.TransportSecurity_TRANSPORT_SECURITY_PLAINTEXT))
	}
}
