package rules

import "strings"

// longestQuote bounds what an error repeats of a value.
const longestQuote = 128

// Quote writes a value into an error: in double quotes, and every byte that is
// not printable ASCII, '"' or '\' as \xNN, so that what only looks right shows.
// Of a long value it shows the beginning.
func Quote(text string) string {
	const digits = "0123456789abcdef"
	rest := ""
	if len(text) > longestQuote {
		text, rest = text[:longestQuote], "…"
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			b.WriteString(`\x`)
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	b.WriteString(rest)
	return b.String()
}
