package main

import (
	"slices"
	"strings"
	"unicode"
)

// item is one name of a public API: a type, a function, or a member of a type.
type item struct {
	// owner is the type; empty for types and functions.
	owner string
	// name as it is written in its language.
	name string
	// shown is how the document shows it.
	shown string
}

// key is what partners share: the names without case and underscores.
func (i item) key() string {
	name := fold(i.name)
	// `is_` marks a question in Rust.
	if rest, ok := strings.CutPrefix(i.name, "is_"); ok {
		name = fold(rest)
	}
	if i.owner == "" {
		return name
	}
	if name == "err" {
		name = "error" // Go's word for it
	}
	return fold(i.owner) + "." + name
}

func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// words splits CamelCase, keeping capitals together: HTTPServer is HTTP, Server.
func words(name string) []string {
	var list []string
	runes := []rune(name)
	start := 0
	for i := 1; i < len(runes); i++ {
		before, here := runes[i-1], runes[i]
		next := i+1 < len(runes) && unicode.IsLower(runes[i+1])
		if unicode.IsUpper(here) && (!unicode.IsUpper(before) || next) {
			list = append(list, string(runes[start:i]))
			start = i
		}
	}
	return append(list, string(runes[start:]))
}

// variant is a constant's name without the part that names its type: the whole
// of it, or its first or last words, as SourceSelf of HealthSource.
func variant(constant, of string) string {
	w := words(of)
	for n := len(w); n > 0; n-- {
		for _, part := range []string{strings.Join(w[:n], ""), strings.Join(w[len(w)-n:], "")} {
			if rest, ok := strings.CutPrefix(constant, part); ok && rest != "" && unicode.IsUpper([]rune(rest)[0]) {
				return rest
			}
		}
	}
	return constant
}

func sortItems(items []item) {
	slices.SortFunc(items, func(a, b item) int {
		return strings.Compare(a.key()+" "+a.shown, b.key()+" "+b.shown)
	})
}
