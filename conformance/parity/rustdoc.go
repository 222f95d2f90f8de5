package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// rustdocFormat is the version of rustdoc's JSON that this program reads; that
// of the toolchain which rust-toolchain.toml pins.
const rustdocFormat = 57

// crate is rustdoc's JSON of one crate, as far as it is needed.
type crate struct {
	Format int                 `json:"format_version"`
	Root   int                 `json:"root"`
	Index  map[string]rustItem `json:"index"`
}

type rustItem struct {
	Name       string                     `json:"name"`
	Visibility json.RawMessage            `json:"visibility"`
	Inner      map[string]json.RawMessage `json:"inner"`
}

// rustInner is the union of what the kinds of items hold.
type rustInner struct {
	Items    []int           `json:"items"`
	Impls    []int           `json:"impls"`
	Variants []int           `json:"variants"`
	Kind     json.RawMessage `json:"kind"`
	Trait    json.RawMessage `json:"trait"`
	Name     string          `json:"name"`
	ID       *int            `json:"id"`
}

func readCrate(path string) (*crate, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: scripts/api-parity.sh makes it", path)
	}
	if err != nil {
		return nil, err
	}
	var c crate
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Format != rustdocFormat {
		return nil, fmt.Errorf("%s is of format %d, this program reads %d: look at what changed and raise rustdocFormat",
			path, c.Format, rustdocFormat)
	}
	return &c, nil
}

func (c *crate) item(id int) rustItem { return c.Index[strconv.Itoa(id)] }

// as returns what an item of this kind holds.
func (i rustItem) as(kind string) (rustInner, bool) {
	var inner rustInner
	data, ok := i.Inner[kind]
	return inner, ok && json.Unmarshal(data, &inner) == nil
}

func (i rustItem) public() bool { return string(i.Visibility) == `"public"` }

// items are the public ones of a module of the crate; of the root if it is
// empty, without modules then.
func (c *crate) items(module string) []item {
	var list []item
	root, _ := c.item(c.Root).as("module")
	if module == "" {
		list = c.module(root)
	}
	for _, id := range root.Items {
		child := c.item(id)
		if inner, ok := child.as("module"); ok && child.Name == module {
			list = c.module(inner)
		}
	}
	sortItems(list)
	return list
}

func (c *crate) module(m rustInner) []item {
	var list []item
	for _, id := range m.Items {
		i := c.item(id)
		if !i.public() {
			continue
		}
		name := i.Name
		if use, ok := i.as("use"); ok && use.ID != nil {
			i, name = c.item(*use.ID), use.Name
		}
		list = append(list, c.named(name, i)...)
	}
	return list
}

// named are an item and its members.
func (c *crate) named(name string, i rustItem) []item {
	if _, ok := i.as("module"); ok || len(i.Inner) == 0 {
		return nil // a module of its own area, or of another crate
	}
	list := []item{{"", name, name}}
	for _, kind := range []string{"struct", "enum"} {
		if inner, ok := i.as(kind); ok {
			list = append(list, c.fields(name, inner.Kind)...)
			list = append(list, c.variants(name, inner.Variants)...)
			list = append(list, c.methods(name, inner.Impls)...)
		}
	}
	if inner, ok := i.as("trait"); ok {
		for _, id := range inner.Items {
			list = append(list, member(name, c.item(id).Name))
		}
	}
	return list
}

func member(owner, name string) item { return item{owner, name, owner + "::" + name} }

// fields are the public ones of {"plain":{"fields":…}} or {"struct":…}.
func (c *crate) fields(owner string, kind json.RawMessage) []item {
	var shapes map[string]struct {
		Fields []int `json:"fields"`
	}
	if json.Unmarshal(kind, &shapes) != nil {
		return nil // "unit", "plain" or a tuple
	}
	var list []item
	for shape, s := range shapes {
		for _, id := range s.Fields {
			if f := c.item(id); shape == "struct" || f.public() {
				list = append(list, member(owner, f.Name))
			}
		}
	}
	return list
}

// variants are members; those with fields are what types of their own are in
// Go, under an interface.
func (c *crate) variants(owner string, ids []int) []item {
	var list []item
	for _, id := range ids {
		v := c.item(id)
		inner, _ := v.as("variant")
		if fields := c.fields(v.Name, inner.Kind); len(fields) > 0 {
			list = append(list, item{"", v.Name, owner + "::" + v.Name})
			for _, f := range fields {
				list = append(list, item{v.Name, f.name, owner + "::" + v.Name + "::" + f.name})
			}
			continue
		}
		list = append(list, member(owner, v.Name))
	}
	return list
}

// methods are the public ones that no trait asks for. as_str is what String is
// in Go.
func (c *crate) methods(owner string, impls []int) []item {
	var list []item
	for _, id := range impls {
		inner, _ := c.item(id).as("impl")
		if len(inner.Trait) > 0 && string(inner.Trait) != "null" {
			continue
		}
		for _, m := range inner.Items {
			if f := c.item(m); f.public() && f.Name != "as_str" {
				list = append(list, member(owner, strings.TrimPrefix(f.Name, "r#")))
			}
		}
	}
	return list
}
