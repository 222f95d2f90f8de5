// Command parity compares the public APIs of the two clients and writes
// docs/api-parity.md. It fails if an item has no partner in the other language
// and no reason in differences.json, or if a reason is out of date.
//
//	go run ./conformance/parity -rustdoc DIR [-write]
//
// DIR holds what rustdoc wrote as JSON, see scripts/api-parity.sh.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// area is a part of the API that is compared by itself.
type area struct {
	name string
	// folder of the Go package below client-go.
	folder string
	// crate is the file of the Rust crate, module the path of the module in it.
	crate, module string
}

// areas in the order of the document.
var areas = []area{
	{"core", ".", "muster_client", ""},
	{"gRPC", "mustergrpc", "muster_client", "tonic_0_14"},
	{"tests", "mustertest", "muster_client", "testing"},
	{"OpenTelemetry", "musterotel", "muster_client_otel", ""},
}

const (
	document    = "docs/api-parity.md"
	differences = "conformance/parity/differences.json"
)

func main() {
	rustdoc := flag.String("rustdoc", "target/doc", "folder with rustdoc's JSON")
	write := flag.Bool("write", false, "write "+document+" instead of comparing with it")
	flag.Parse()
	if err := run(*rustdoc, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(rustdoc string, write bool) error {
	explained, err := readDifferences(differences)
	if err != nil {
		return err
	}
	var pages []page
	for _, a := range areas {
		p, failed := compareArea(a, rustdoc, explained)
		if failed != nil {
			return failed
		}
		pages = append(pages, p)
	}
	if problems := append(unexplained(pages), explained.stale()...); len(problems) > 0 {
		for _, p := range problems {
			fmt.Fprintln(os.Stderr, p)
		}
		return fmt.Errorf("%d differences between the APIs: remove them, or explain them in %s", len(problems), differences)
	}
	text := render(pages)
	if write {
		return os.WriteFile(document, text, 0o644)
	}
	old, err := os.ReadFile(document)
	if err != nil || !bytes.Equal(old, text) {
		return fmt.Errorf("%s is out of date: run scripts/api-parity.sh --write", document)
	}
	return nil
}

func compareArea(a area, rustdoc string, explained *explanations) (page, error) {
	goItems, err := readGo(filepath.Join("client-go", a.folder))
	if err != nil {
		return page{}, err
	}
	crate, err := readCrate(filepath.Join(rustdoc, a.crate+".json"))
	if err != nil {
		return page{}, err
	}
	rustItems := crate.items(a.module)
	return pair(a.name, goItems, rustItems, explained), nil
}
