package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// difference is an item that only one language has, and why. The item is a key,
// such as "config.ttl", or the beginning of keys, such as "config.*".
type difference struct {
	Area string `json:"area"`
	Item string `json:"item"`
	Why  string `json:"why"`

	used bool
}

// rename joins items whose names differ, both as keys. That of a type holds for
// its members as well.
type rename struct {
	Area string `json:"area"`
	Go   string `json:"go"`
	Rust string `json:"rust"`
	Why  string `json:"why"`

	used bool
}

// explanations are differences.json.
type explanations struct {
	Renames  []*rename     `json:"renames"`
	GoOnly   []*difference `json:"go_only"`
	RustOnly []*difference `json:"rust_only"`
}

func readDifferences(path string) (*explanations, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var e explanations
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &e, nil
}

// goKey is the key under which a Go item looks for its partner.
func (e *explanations) goKey(area, key string) string {
	owner, rest, isMember := strings.Cut(key, ".")
	for _, r := range e.Renames {
		switch {
		case r.Area != area:
		case r.Go == key:
			return r.Rust
		case isMember && r.Go == owner:
			owner = r.Rust
		}
	}
	if isMember {
		key = owner + "." + rest
	}
	for _, r := range e.Renames { // a member of a type that was renamed itself
		if r.Area == area && r.Go == key {
			return r.Rust
		}
	}
	return key
}

// paired notes that a rename joined two items.
func (e *explanations) paired(area, goKey, rustKey string) string {
	why := ""
	for _, r := range e.Renames {
		if r.Area != area {
			continue
		}
		goOwner, _, _ := strings.Cut(goKey, ".")
		rustOwner, _, _ := strings.Cut(rustKey, ".")
		if r.Go == goKey && r.Rust == rustKey || r.Go == goOwner && r.Rust == rustOwner {
			r.used, why = true, r.Why
		}
	}
	return why
}

// why explains an item without partner.
func why(list []*difference, area, key string) string {
	for _, d := range list {
		prefix, open := strings.CutSuffix(d.Item, "*")
		if d.Area == area && (d.Item == key || open && strings.HasPrefix(key, prefix)) {
			d.used = true
			return d.Why
		}
	}
	return ""
}

// stale are the explanations of nothing.
func (e *explanations) stale() []string {
	var list []string
	for _, r := range e.Renames {
		if !r.used {
			list = append(list, fmt.Sprintf("%s: %s and %s are not there, or joined without it: remove the rename", r.Area, r.Go, r.Rust))
		}
	}
	for language, differences := range map[string][]*difference{"Go": e.GoOnly, "Rust": e.RustOnly} {
		for _, d := range differences {
			if !d.used {
				list = append(list, fmt.Sprintf("%s: %s is not a difference of %s any more: remove it", d.Area, d.Item, language))
			}
		}
	}
	return list
}
