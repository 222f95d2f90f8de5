package main

import (
	"bytes"
	"strings"
)

// lineWidth is what a line may hold, its indentation left out.
const lineWidth = 132

// caseWidth is what a case of a rule may hold to stand on one line.
const caseWidth = 3 * lineWidth

// layout writes compact JSON with one line for each value that fits.
func layout(out *bytes.Buffer, text []byte, depth int) {
	width := lineWidth
	if bytes.HasPrefix(text, []byte(`{"name":`)) {
		width = caseWidth
	}
	if len(text) <= width || text[0] != '{' && text[0] != '[' {
		out.Write(spaced(text))
		return
	}
	out.WriteByte(text[0])
	indent := "\n" + strings.Repeat("  ", depth+1)
	for i, part := range parts(text[1 : len(text)-1]) {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(indent)
		if text[0] == '{' {
			end := skipString(part, 0)
			out.Write(part[:end])
			out.WriteString(": ")
			part = part[end+1:]
		}
		layout(out, part, depth+1)
	}
	out.WriteString("\n" + strings.Repeat("  ", depth))
	out.WriteByte(text[len(text)-1])
}

// parts splits the inside of an object or array at its commas.
func parts(text []byte) [][]byte {
	var list [][]byte
	depth, begin := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = skipString(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				list, begin = append(list, text[begin:i]), i+1
			}
		}
	}
	return append(list, text[begin:])
}

// skipString returns where the string that begins at i ends.
func skipString(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// spaced puts a space behind each comma and colon of one line.
func spaced(text []byte) []byte {
	var out []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '"' {
			end := skipString(text, i)
			out = append(out, text[i:end]...)
			i = end - 1
			continue
		}
		out = append(out, text[i])
		if text[i] == ',' || text[i] == ':' {
			out = append(out, ' ')
		}
	}
	return out
}
