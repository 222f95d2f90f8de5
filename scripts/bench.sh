#!/usr/bin/env bash
# Measures the server as its users load it, beside what gRPC itself can carry and beside etcd.
# docs/performance.md says how to read what it prints.
#   scripts/bench.sh quick [FLAG...]  every section, small: bench/out/quick.json
#   scripts/bench.sh full [FLAG...]   full sizes: bench/out/full.json, bench/RESULTS.md, bench/plots
#   scripts/bench.sh build            only builds what the others need
# Flags go to the program; `bin/muster-bench -help` lists them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

build() {
	need go "to build the benchmark"
	local commit
	commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
	mkdir -p bin
	# As users get it, see build.sh.
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$commit" -o bin/muster ./cmd/muster
	# A module of its own, because of etcd.
	(cd bench && GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags "-X main.commit=$commit" -o ../bin/muster-bench .)
	# The Rust client is measured beside the one in Go.
	need cargo "to build the Rust client for the benchmark"
	cargo build --quiet --release --package muster-bench
	cp "${CARGO_TARGET_DIR:-target}/release/muster-bench-rust" bin/
}

mode=${1:-}
shift || true
case $mode in
build) build ;;
quick)
	build
	cd bench && exec ../bin/muster-bench -quick -json out/quick.json "$@"
	;;
full)
	build
	cd bench && exec ../bin/muster-bench -json out/full.json -results . "$@"
	;;
*) die "want: bench.sh quick|full|build" ;;
esac
