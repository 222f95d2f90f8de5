// Command gen computes the conformance vectors that follow from a formula,
// writes them to the folder named first, and writes the examples of all vectors
// into the page named second:
//
//	go run ./conformance/gen conformance/vectors docs/protocol.md
//
// It shares no code with the server or the clients, its own XXH64 included:
// vectors that were made by the code under test would only show that it did
// not change. Vectors whose answers are decisions rather than numbers
// (semver, resume, register, intent) are written by hand.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// files are the vectors by file name.
func files() map[string]any {
	return map[string]any{
		"digest.json":    digestFile().uniform(),
		"view_id.json":   viewIDFile(),
		"frames.json":    framesFile().uniform(),
		"backoff.json":   backoffFile().uniform(),
		"keepalive.json": keepaliveFile().uniform(),
		"freshness.json": freshnessFile().uniform(),
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gen FOLDER PAGE")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(folder, page string) error {
	for name, content := range files() {
		if err := os.WriteFile(filepath.Join(folder, name), encode(content), 0o644); err != nil { //nolint:gosec // public
			return err
		}
	}
	return writeExamples(folder, page)
}

// encode writes JSON the way that these files are read: whatever fits is on
// one line.
func encode(content any) []byte {
	var compact bytes.Buffer
	encoder := json.NewEncoder(&compact)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(content); err != nil {
		panic(err) // the content is made here
	}
	var out bytes.Buffer
	layout(&out, squeeze(compact.Bytes()), 0)
	out.WriteByte('\n')
	return out.Bytes()
}

func squeeze(text []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		panic(err) // the content is made here
	}
	return out.Bytes()
}
