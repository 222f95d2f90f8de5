package scenario

import (
	"errors"
	"strings"
)

// words splits a line at spaces. Within double quotes spaces are kept, and the
// quotes go; a backslash before a quote keeps it. A # that begins a word ends
// the line.
func words(line string) ([]string, error) {
	var (
		list          []string
		word          strings.Builder
		begun, quoted bool
	)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line) && line[i+1] == '"':
			i++
			word.WriteByte('"')
			begun = true
		case c == '"':
			quoted, begun = !quoted, true
		case quoted:
			word.WriteByte(c)
		case c == ' ' || c == '\t':
			if begun {
				list = append(list, word.String())
				word.Reset()
				begun = false
			}
		case c == '#' && !begun:
			return list, nil
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	if begun {
		list = append(list, word.String())
	}
	return list, nil
}

// split parts words into arguments and key=value options.
func split(list []string) (args []string, options map[string]string) {
	options = map[string]string{}
	for _, w := range list {
		key, value, found := strings.Cut(w, "=")
		if found && isName(key) {
			options[key] = value
		} else {
			args = append(args, w)
		}
	}
	return args, options
}

func isName(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("-_.0123456789", c)) {
			return false
		}
	}
	return s != ""
}
