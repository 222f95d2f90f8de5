package main

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// maker makes questions. What it makes follows from its random numbers alone.
type maker struct {
	rand  *rand.Rand
	seeds seeds
	names []string
}

func (m *maker) batch(size int) []question {
	list := make([]question, size)
	for i := range list {
		list[i] = m.question(m.rule())
	}
	return list
}

// slow are rules that take long, and how much seldomer they are asked.
var slow = map[string]int{"maglev": 100, "frames": 3}

func (m *maker) rule() string {
	for {
		name := pickOne(m.rand, m.names)
		if len(m.names) == 1 || m.rand.IntN(max(slow[name], 1)) == 0 {
			return name
		}
	}
}

// garbageEach is how seldom a line is garbage.
const garbageEach = 200

// question is an input of the vectors, or one from a model of the rule, changed
// in a few places.
func (m *maker) question(rule string) question {
	s := m.seeds[rule]
	q := question{rule: rule, input: clone(pickOne(m.rand, s.inputs))}
	if rule == "frames" && m.rand.IntN(4) != 0 {
		q.input = m.history()
	}
	for range m.rand.IntN(5) {
		q.input = m.change(q.input, s.shape)
	}
	if m.rand.IntN(garbageEach) == 0 {
		q.garbage = m.garble(q.line())
	}
	return q
}

// garble changes bytes of a line, whatever they mean.
func (m *maker) garble(line []byte) []byte {
	line = slices.Clone(line)
	for range 1 + m.rand.IntN(4) {
		at := m.rand.IntN(len(line))
		if c := byte(m.rand.IntN(256)); c != '\n' { //nolint:gosec // a byte
			line[at] = c
		}
	}
	return line
}

func pickOne[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		c := make(map[string]any, len(value))
		for k, v := range value {
			c[k] = clone(v)
		}
		return c
	case []any:
		c := make([]any, len(value))
		for i, v := range value {
			c[i] = clone(v)
		}
		return c
	default:
		return value
	}
}

// change changes one place of a value, deep inside more often than not.
func (m *maker) change(value any, s *shape) any {
	if m.rand.IntN(12) == 0 {
		return clone(pickOne(m.rand, s.samples)) // what stood here in some case
	}
	switch value := value.(type) {
	case map[string]any:
		return m.changeObject(value, s)
	case []any:
		return m.changeList(value, s)
	case json.Number:
		return m.changeNumber(value, s)
	case string:
		return m.changeText(value, s)
	case bool:
		return !value
	default:
		return clone(pickOne(m.rand, s.samples))
	}
}

func (m *maker) changeObject(value map[string]any, s *shape) any {
	names := slices.Sorted(maps.Keys(s.fields))
	if len(names) == 0 {
		return value
	}
	name := pickOne(m.rand, names)
	field, ok := value[name]
	switch {
	case !ok:
		value[name] = clone(pickOne(m.rand, s.fields[name].samples))
	case s.optional(name) && m.rand.IntN(4) == 0:
		delete(value, name)
	default:
		value[name] = m.change(field, s.fields[name])
	}
	return value
}

func (m *maker) changeList(value []any, s *shape) any {
	if s.element == nil || len(s.element.samples) == 0 {
		return value
	}
	if len(value) == 0 || m.rand.IntN(5) == 0 {
		return slices.Insert(value, m.rand.IntN(len(value)+1), clone(pickOne(m.rand, s.element.samples)))
	}
	at, other := m.rand.IntN(len(value)), m.rand.IntN(len(value))
	switch m.rand.IntN(8) {
	case 0:
		return slices.Delete(value, at, at+1)
	case 1:
		return slices.Insert(value, other, clone(value[at]))
	case 2:
		value[at], value[other] = value[other], value[at]
	case 3:
		return value[:at]
	default:
		value[at] = m.change(value[at], s.element)
	}
	return value
}

// edges are numbers at which decisions turn.
var edges = []int64{0, 1, 2, 3, 50, 63, 64, 100, 127, 128, 255, 256, 999, 1000, 10_000, 65_535, 65_536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 60, 1<<63 - 1}

func (m *maker) changeNumber(value json.Number, s *shape) any {
	n, err := value.Int64()
	if err != nil {
		return value
	}
	switch m.rand.IntN(6) {
	case 0:
		n = pickOne(m.rand, edges)
	case 1:
		n = -pickOne(m.rand, edges)
	case 2:
		n += int64(m.rand.IntN(5)) - 2
	case 3:
		if sample, ok := pickOne(m.rand, s.samples).(json.Number); ok {
			return sample
		}
	case 4:
		n = m.rand.Int64N(1 << m.rand.IntN(40))
	default:
		n *= 2
	}
	return json.Number(strconv.FormatInt(n, 10))
}

func (m *maker) changeText(value string, s *shape) any {
	switch {
	case !s.notDecimal:
		return m.changeWide(value)
	case !s.notHex:
		return m.changeHex(value)
	default:
		return m.changeWords(value, s)
	}
}

// changeWide changes a 64-bit number.
func (m *maker) changeWide(value string) string {
	n, _ := strconv.ParseUint(value, 10, 64)
	switch m.rand.IntN(5) {
	case 0:
		n = uint64(pickOne(m.rand, edges)) //nolint:gosec // none is negative
	case 1:
		n = -uint64(pickOne(m.rand, edges)) //nolint:gosec // wraps on purpose
	case 2:
		n += uint64(m.rand.IntN(5)) - 2 //nolint:gosec // wraps on purpose
	case 3:
		n = m.rand.Uint64() >> m.rand.IntN(64)
	default:
		n ^= 1 << m.rand.IntN(64)
	}
	return strconv.FormatUint(n, 10)
}

// changeHex changes a byte, or the length.
func (m *maker) changeHex(value string) string {
	const digits = "0123456789abcdef"
	random := func() string { return string([]byte{digits[m.rand.IntN(16)], digits[m.rand.IntN(16)]}) }
	if value == "" {
		return random()
	}
	at := 2 * m.rand.IntN(len(value)/2)
	switch m.rand.IntN(4) {
	case 0:
		return value[:at]
	case 1:
		return value[:at] + random() + value[at:]
	default:
		return value[:at] + random() + value[at+2:]
	}
}

// special are texts that parsers may take differently.
var special = []string{
	"", " ", "  ", "\t", "\n", "\x00", "\x7f", "é", "日", "💳", "\u00a0", "\ufeff", "-", "+", ".", "/", ":", ";", ",", "=", "?", "#", "%", "%2f", "&", "<", ">",
	"!", "\"", "\\", "[", "]", "[::1]", "@", "0", "00", "1", "9", "a", "Z", "_", "~", "18446744073709551615", "18446744073709551616", "-1", "*", "e1",
}

func (m *maker) changeWords(value string, s *shape) string {
	part := pickOne(m.rand, special)
	if sample, ok := pickOne(m.rand, s.samples).(string); ok && m.rand.IntN(3) == 0 {
		part = sample
	}
	at := m.rand.IntN(len(value) + 1)
	for at < len(value) && value[at]&0xc0 == 0x80 {
		at++ // not within a character
	}
	rest := value[at:]
	switch m.rand.IntN(6) {
	case 0:
		return part
	case 1:
		return value[:at] + part + rest
	case 2:
		return value[:at] + part + dropFirst(rest)
	case 3:
		return value[:at] + dropFirst(rest)
	case 4:
		return value[:at]
	default:
		return value[:at] + strings.Repeat(part, 1+m.rand.IntN(140)) + rest
	}
}

// dropFirst drops the first character.
func dropFirst(text string) string {
	for i := range text {
		if i > 0 {
			return text[i:]
		}
	}
	return ""
}
