package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const head = `# The public APIs of the clients, side by side

Made by ` + "`scripts/api-parity.sh --write`" + ` from the source of client-go and rustdoc of client-rust; ` + "`make check`" + ` fails if it is
out of date, or if an item of one language has neither a partner in the other nor a reason in
[conformance/parity/differences.json](../conformance/parity/differences.json).

Names are partners if they are equal but for case and underscores. Besides:

- A Go option ` + "`WithX`" + ` is a method of Rust's ` + "`ClientBuilder`" + `; a Go constant is a variant of its type.
- Types that implement a sealed Go interface (events, updates) are variants with fields in Rust.
- A Rust function ` + "`T::new`" + ` makes what a literal makes in Go. ` + "`Err`" + ` is ` + "`error`" + ` in Rust.
- A Rust method ` + "`is_x`" + ` is ` + "`X`" + ` in Go. Fields and methods without arguments count as the same.
- ` + "`String`, `Error`, `Unwrap`, `Is` and `GRPCStatus`" + ` are traits or ` + "`as_str`" + ` in Rust.
`

// render makes the document.
func render(pages []page) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	for _, p := range pages {
		fmt.Fprintf(&b, "\n## %s: %d in both, %d in one\n\n| Go | Rust | |\n| --- | --- | --- |\n", p.area, len(p.both), len(p.only))
		for _, r := range p.both {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", code(r.inGo), code(r.inRust), r.why)
		}
		if len(p.only) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\nIn one language only:\n\n| Go | Rust | why |\n| --- | --- | --- |\n")
		for _, r := range p.only {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", code(r.inGo), code(r.inRust), r.why)
		}
	}
	return b.Bytes()
}

func code(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	for i, n := range names {
		names[i] = "`" + n + "`"
	}
	return strings.Join(names, ", ")
}
