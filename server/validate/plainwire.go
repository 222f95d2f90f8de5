package validate

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	musterv1 "github.com/muster-registry/muster/gen/go/muster/v1"
	"github.com/muster-registry/muster/server/selector/semver"
)

// Fields of Instance and of the messages in it that are read and written by
// hand. The test of Plain compares them with the contract.
const (
	fieldNamespace     = 1
	fieldService       = 2
	fieldInstanceID    = 3
	fieldVersion       = 4
	fieldEndpoints     = 5
	fieldLocality      = 6
	fieldWeight        = 7
	fieldLifecycle     = 8
	fieldMetadata      = 10
	fieldCapabilities  = 11
	fieldSchemaVersion = 12
	fieldSelfHealth    = 14
)

// wireText is an encoded message that is being read, with the present field.
type wireText struct {
	rest    string
	number  int
	isBytes bool   // bytes is the value, not value
	bytes   string // part of the message
	value   uint64
	bad     bool
}

// next goes to the next field. It returns false at the end, and if what follows
// is not a varint or bytes, well-formed; bad tells the two apart.
func (t *wireText) next() bool {
	if t.rest == "" {
		return false
	}
	tag := t.varint()
	t.number = int(tag >> 3 & 0xff_ffff) //nolint:gosec // bounded
	switch {
	case tag>>3 == 0 || tag>>3 > 0xff_ffff:
		t.bad = true
	case tag&7 == uint64(protowire.VarintType):
		t.isBytes, t.value = false, t.varint()
	case tag&7 == uint64(protowire.BytesType):
		n := t.varint()
		if n > uint64(len(t.rest)) {
			t.bad = true
			break
		}
		t.isBytes, t.bytes, t.rest = true, t.rest[:n], t.rest[n:]
	default:
		t.bad = true
	}
	return !t.bad
}

func (t *wireText) varint() (v uint64) {
	for i := range len(t.rest) {
		b := t.rest[i]
		if i == 9 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			t.rest = t.rest[i+1:]
			return v
		}
	}
	t.bad = true
	return 0
}

// read takes an instance apart.
func (in *plainInstance) read(instance string) bool {
	*in = plainInstance{} // not with the weight in it: that would be made on the stack first
	in.weight = uint64(DefaultWeight)
	t := wireText{rest: instance}
	for last := 0; t.next(); last = t.number {
		repeated := t.number == fieldEndpoints || t.number == fieldMetadata || t.number == fieldCapabilities
		if t.number < last || t.number == last && !repeated {
			return false
		}
		if t.isBytes && !in.readBytes(&t) || !t.isBytes && !in.readNumber(&t) {
			return false
		}
	}
	return !t.bad
}

func (in *plainInstance) readBytes(t *wireText) bool {
	switch t.number {
	case fieldNamespace:
		in.namespace = t.bytes
	case fieldService:
		in.service = t.bytes
	case fieldInstanceID:
		in.id = t.bytes
	case fieldVersion:
		in.version = t.bytes
	case fieldEndpoints:
		var e plainEndpoint
		return e.read(t.bytes) && in.endpoints.add(e, plainEndpoints)
	case fieldLocality:
		return readPair(t.bytes, &in.region, &in.zone) && utf8.ValidString(in.region) && utf8.ValidString(in.zone)
	case fieldMetadata:
		var m plainPair
		return readPair(t.bytes, &m.key, &m.value) && utf8.ValidString(m.value) && in.metadata.add(m, plainMetadata)
	case fieldCapabilities:
		return in.capabilities.add(t.bytes, plainCapabilities)
	case fieldSelfHealth:
		return isHealthy(t.bytes)
	default:
		return false
	}
	return true
}

func (in *plainInstance) readNumber(t *wireText) bool {
	switch t.number {
	case fieldWeight:
		in.weight = t.value
	case fieldLifecycle:
		in.lifecycle = t.value
	case fieldSchemaVersion:
		in.schema = t.value
	default:
		return false
	}
	return true
}

// readPair reads a message of two strings, which are its fields 1 and 2.
func readPair(message string, first, second *string) bool {
	t := wireText{rest: message}
	for last := 0; t.next(); last = t.number {
		switch {
		case t.number <= last || !t.isBytes:
			return false
		case t.number == 1:
			*first = t.bytes
		case t.number == 2:
			*second = t.bytes
		default:
			return false
		}
	}
	return !t.bad
}

// isHealthy tells whether a SelfHealth says what is so without it.
func isHealthy(message string) bool {
	t := wireText{rest: message}
	for last := 0; t.next(); last = t.number {
		if t.number != 1 || last == 1 || t.isBytes || t.value > uint64(musterv1.Health_HEALTH_HEALTHY) {
			return false
		}
	}
	return !t.bad
}

func (e *plainEndpoint) read(endpoint string) bool {
	t := wireText{rest: endpoint}
	for last := 0; t.next(); last = t.number {
		if t.number <= last || t.isBytes == (t.number == 3 || t.number == 4) {
			return false
		}
		switch t.number {
		case 1:
			e.name = t.bytes
		case 2:
			e.address = t.bytes
		case 3:
			e.protocol = t.value
		case 4:
			e.security = t.value
		case 5:
			e.serverName = t.bytes
		case 6:
			e.authority = t.bytes
		default:
			return false
		}
	}
	return !t.bad
}

// append encodes an instance in its normal form.
func (in *plainInstance) append(dst []byte) []byte {
	dst = appendText(dst, fieldNamespace, in.namespace)
	dst = appendText(dst, fieldService, in.service)
	dst = appendText(dst, fieldInstanceID, in.id)
	dst = appendText(dst, fieldVersion, in.version)
	for i := range in.endpoints.all() {
		e := &in.endpoints.items[i]
		dst = appendHead(dst, fieldEndpoints, e.size())
		dst = e.append(dst)
	}
	if in.region != "" || in.zone != "" {
		dst = appendHead(dst, fieldLocality, textSize(in.region)+textSize(in.zone))
		dst = appendText(appendText(dst, 1, in.region), 2, in.zone)
	}
	dst = appendNumber(dst, fieldWeight, in.weight)
	dst = appendNumber(dst, fieldLifecycle, in.lifecycle)
	for _, m := range in.metadata.all() {
		dst = appendHead(dst, fieldMetadata, textSize(m.key)+textSize(m.value))
		dst = appendText(appendText(dst, 1, m.key), 2, m.value)
	}
	for _, c := range in.capabilities.all() {
		dst = appendText(dst, fieldCapabilities, c)
	}
	if in.schema != 0 {
		dst = appendNumber(dst, fieldSchemaVersion, in.schema)
	}
	return dst
}

func (e *plainEndpoint) append(dst []byte) []byte {
	dst = appendText(appendText(dst, 1, e.name), 2, e.address)
	dst = appendNumber(appendNumber(dst, 3, e.protocol), 4, e.security)
	return appendText(appendText(dst, 5, e.serverName), 6, e.authority)
}

func (e *plainEndpoint) size() int {
	const enums = 4 // both are below 128
	return textSize(e.name) + textSize(e.address) + enums + textSize(e.serverName) + textSize(e.authority)
}

func appendHead(dst []byte, number protowire.Number, size int) []byte {
	dst = protowire.AppendTag(dst, number, protowire.BytesType)
	return protowire.AppendVarint(dst, uint64(size)) //nolint:gosec // a length
}

// appendText appends a field, but not if it is empty.
func appendText(dst []byte, number protowire.Number, text string) []byte {
	if text == "" {
		return dst
	}
	return append(appendHead(dst, number, len(text)), text...)
}

// textSize is what appendText appends for a field below 16.
func textSize(text string) int {
	if text == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(text))
}

func appendNumber(dst []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), v)
}

func isVersion(text string) bool {
	_, err := semver.Parse(text)
	return err == nil
}
