#!/usr/bin/env bash
# Builds what runs into bin/.
#   scripts/build.sh go    the server, the command line and the Go examples
#   scripts/build.sh rust  the Rust examples
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

build_go() {
	need go "to build the server"
	local version dir
	version=$(git describe --tags --always --dirty 2>/dev/null || echo dev)
	mkdir -p bin
	# Without cgo the programs are static and run on any Linux. main.version is what `muster version` shows.
	while read -r dir; do
		CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$version" -o "bin/$(basename "$dir")" "$dir"
		echo "built bin/$(basename "$dir")"
	done < <(go_programs cmd examples)
}

# go_programs FOLDER... prints the folders of main packages below the given ones.
go_programs() {
	local folder
	for folder in "$@"; do
		[[ -n $(git ls-files --cached --others --exclude-standard -- "$folder/**.go" "$folder/*.go") ]] || continue
		(cd "$folder" && go list -f '{{if eq .Name "main"}}{{.Dir}}{{end}}' ./...)
	done
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

case ${1:-} in
go) build_go ;;
rust) build_rust ;;
*) die "want: build.sh go|rust" ;;
esac
