#!/usr/bin/env bash
# Builds what runs into bin/.
#   scripts/build.sh go    the server, the command line and the Go examples
#   scripts/build.sh rust  the Rust examples
#   scripts/build.sh conformance  the server, the harness and the testees of conformance/
#   scripts/build.sh differential  the evaluators of the rules and what compares them
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

build_go() {
	need go "to build the server"
	local version dir program
	version=$(git describe --tags --always --dirty 2>/dev/null || echo dev)
	mkdir -p bin
	# Without cgo the programs are static and run on any Linux. main.version is what `muster version` shows.
	while read -r dir; do
		program=$(basename "$dir")
		# The examples exist in both languages.
		[[ $dir != */examples/go/* ]] || program+=-go
		CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o "bin/$program" "$dir"
		echo "built bin/$program"
	done < <(go_programs)
}

# go_programs prints the folders of the programs that users run.
go_programs() {
	local dirs
	mapfile -t dirs < <(go list -m -f '{{.Dir}}/...')
	go list -e -f '{{if eq .Name "main"}}{{.Dir}}{{end}}' "${dirs[@]}" 2> >(grep -v 'matched no packages' >&2) | grep -E "^$ROOT/(cmd|examples)/"
}

build_rust() {
	need cargo "to build the Rust examples"
	cargo build --quiet --package muster-examples --bins
	mkdir -p bin
	local program
	for program in examples/rust/src/bin/*; do
		[[ -e $program ]] || continue
		program=$(basename "$program" .rs)
		cp "target/debug/$program" "bin/$program-rust"
		echo "built bin/$program-rust"
	done
}

# Statically built as the server is, so that all of it starts equally fast.
build_conformance() {
	need go "to build the harness"
	need cargo "to build the Rust testee"
	mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/muster ./cmd/muster
	CGO_ENABLED=0 go build -trimpath -o bin/harness ./conformance/harness
	CGO_ENABLED=0 go build -trimpath -o bin/testee-go ./conformance/testee/go
	CGO_ENABLED=0 go build -trimpath -o bin/registry-go ./client-go/mustertest/registry
	# All at once, so that the client is built with one set of features.
	cargo build --quiet --package muster-testee --package muster-client --features muster-client/testing --bin testee-rust --example registry
	cp "${CARGO_TARGET_DIR:-target}/debug/testee-rust" bin/
	cp "${CARGO_TARGET_DIR:-target}/debug/examples/registry" bin/registry-rust
}

# Overflows are errors, as in tests, and yet it is fast.
build_differential() {
	need go "to build the fuzzer"
	need cargo "to build the Rust evaluator"
	mkdir -p bin
	go build -trimpath -o bin/fuzz ./conformance/fuzz
	go build -C client-go -trimpath -o "$ROOT/bin/evaluator-go" ./internal/rules/evaluator
	CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true cargo build --quiet --release --package muster-rules --features evaluate --bin muster-evaluator
	cp "${CARGO_TARGET_DIR:-target}/release/muster-evaluator" bin/evaluator-rust
}

case ${1:-} in
go) build_go ;;
rust) build_rust ;;
conformance) build_conformance ;;
differential) build_differential ;;
*) die "want: build.sh go|rust|conformance" ;;
esac
