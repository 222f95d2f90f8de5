package payload

import (
	"bytes"
	"fmt"
	"time"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
)

// number is a place in an encoded message where decimal digits stand.
type number struct {
	offset, digits int
	of             func(key uint64) uint64
}

// Template is an encoded message in which numbers are replaced.
type Template struct {
	message []byte
	numbers []number
}

// Size is the length of every message made of it, in bytes.
func (t *Template) Size() int { return len(t.message) }

// Make is the message for a key. It shares nothing.
func (t *Template) Make(key uint64) []byte {
	b := bytes.Clone(t.message)
	for _, n := range t.numbers {
		v := n.of(key)
		for i := n.offset + n.digits - 1; i >= n.offset; i-- {
			b[i] = byte('0' + v%10)
			v /= 10
		}
	}
	return b
}

// mark finds where a text stands, which must be at least once, and has its last
// digits replaced.
func (t *Template) mark(text string, digits int, of func(uint64) uint64) {
	for from := 0; ; {
		i := bytes.Index(t.message[from:], []byte(text))
		if i < 0 {
			if from == 0 {
				panic("a template holds no " + text)
			}
			return
		}
		from += i + len(text)
		t.numbers = append(t.numbers, number{offset: from - digits, digits: digits, of: of})
	}
}

// RegisterTemplate makes requests that register the `each` instances from
// key*each on under one lease.
func RegisterTemplate(each int, ttl time.Duration) *Template {
	// Numbers that can be found again, and addresses of equal length.
	const probe = 9_000_000_000 + 10_101_010
	var instances []*musterv1.Instance
	for i := range uint64(each) {
		instances = append(instances, Instance(fmt.Sprintf("svc-%0*d", serviceDigits, 9_000_000+i), probe+i))
	}
	t := &Template{message: Encode(RegisterRequest(probe, ttl, instances...))}
	t.mark(fmt.Sprintf("request-%0*d", keyDigits, uint64(probe)), keyDigits, func(key uint64) uint64 { return key })
	for i := range uint64(each) {
		at := func(key uint64) uint64 { return key*uint64(each) + i }
		t.mark(InstanceID(probe+i), keyDigits, at)
		t.mark(fmt.Sprintf("svc-%0*d", serviceDigits, 9_000_000+i), serviceDigits, func(key uint64) uint64 { return at(key) / ServiceInstances })
	}
	return t
}

// InstanceTemplate makes encoded instances, for servers that store bytes.
func InstanceTemplate() *Template {
	const probe = 9_010_101_010
	service := fmt.Sprintf("svc-%0*d", serviceDigits, 9_000_000)
	t := &Template{message: Encode(Instance(service, probe))}
	t.mark(InstanceID(probe), keyDigits, func(key uint64) uint64 { return key })
	t.mark(service, serviceDigits, func(key uint64) uint64 { return key / ServiceInstances })
	return t
}
