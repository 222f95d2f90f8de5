package main

import (
	"encoding/json"
	"maps"
	"slices"
)

// triesMost bounds how often a smaller input is tried.
const triesMost = 20_000

// minimise makes an input smaller for as long as the languages still differ in
// the same way.
func minimise(p *pair, q question) (any, answer, error) {
	small := q.input
	best, err := p.ask([]question{q})
	if err != nil {
		return nil, answer{}, err
	}
	for tries := 0; tries < triesMost; {
		smaller := false
		for _, candidate := range reductions(small) {
			tries++
			answers, err := p.ask([]question{{rule: q.rule, input: candidate}})
			if err != nil {
				return nil, answer{}, err
			}
			if !answers[0].agree() && answers[0].refusals() == best[0].refusals() {
				small, best, smaller = candidate, answers, true
				break
			}
		}
		if !smaller {
			break
		}
	}
	return small, best[0], nil
}

// reductions are all values that are a little smaller.
func reductions(value any) []any {
	switch value := value.(type) {
	case map[string]any:
		return reduceObject(value)
	case []any:
		return reduceList(value)
	case string:
		return reduceText(value)
	case json.Number:
		if value != "0" {
			return []any{json.Number("0")}
		}
	case bool:
		if value {
			return []any{false}
		}
	}
	return nil
}

func reduceObject(value map[string]any) []any {
	var list []any
	names := slices.Sorted(maps.Keys(value))
	for _, name := range names {
		c := maps.Clone(value)
		delete(c, name)
		list = append(list, c)
	}
	for _, name := range names {
		for _, r := range reductions(value[name]) {
			c := maps.Clone(value)
			c[name] = r
			list = append(list, c)
		}
	}
	return list
}

func reduceList(value []any) []any {
	var list []any
	for i := range value {
		list = append(list, slices.Delete(slices.Clone(value), i, i+1))
	}
	for i := range value {
		for _, r := range reductions(value[i]) {
			c := slices.Clone(value)
			c[i] = r
			list = append(list, c)
		}
	}
	return list
}

func reduceText(value string) []any {
	characters := []rune(value)
	if len(characters) == 0 {
		return nil
	}
	list := []any{string(characters[:len(characters)/2]), string(characters[len(characters)/2:])}
	for i := range min(len(characters), 64) {
		list = append(list, string(characters[:i])+string(characters[i+1:]))
	}
	return slices.DeleteFunc(list, func(v any) bool { return v == value })
}
