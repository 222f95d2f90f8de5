package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// row is an item of both languages, or of one with the reason.
type row struct {
	key      string
	inGo     []string
	inRust   []string
	why      string
	language string // of an item that only one has
}

// page is what there is to say of one area.
type page struct {
	area string
	both []row
	only []row
}

// pair joins the items of an area by their keys.
func pair(area string, goItems, rustItems []item, e *explanations) page {
	p := page{area: area}
	rust := map[string][]string{}
	for _, i := range rustItems {
		rust[i.key()] = append(rust[i.key()], i.shown)
	}
	joined := map[string]row{}
	only := map[string]row{}
	for _, i := range goItems {
		own := i.key()
		key := e.goKey(area, own)
		shown, ok := rust[key]
		if !ok {
			only[own] = row{own, append(only[own].inGo, i.shown), nil, why(e.GoOnly, area, own), "Go"}
			continue
		}
		r := joined[key]
		r.key, r.inRust = key, shown
		r.inGo = append(r.inGo, i.shown)
		if because := e.paired(area, own, key); because != "" {
			r.why = because
		}
		joined[key] = r
	}
	p.both = sorted(joined)
	p.only = sorted(only)
	only = map[string]row{}
	for key, shown := range rust {
		if _, ok := joined[key]; !ok && !isConstructor(key, joined) {
			only[key] = row{key, nil, shown, why(e.RustOnly, area, key), "Rust"}
		}
	}
	p.only = append(p.only, sorted(only)...)
	return p
}

func sorted(rows map[string]row) []row {
	var list []row
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, rows[key])
	}
	return list
}

// unexplained are the items without partner and without reason.
func unexplained(pages []page) []string {
	var list []string
	for _, p := range pages {
		for _, r := range p.only {
			if r.why == "" {
				list = append(list, fmt.Sprintf("%s: only %s has %s %v", p.area, r.language, r.key, append(r.inGo, r.inRust...)))
			}
		}
	}
	return list
}

// isConstructor tells whether a Rust item makes what a literal makes in Go.
func isConstructor(key string, joined map[string]row) bool {
	owner, ok := strings.CutSuffix(key, ".new")
	_, known := joined[owner]
	return ok && known
}
