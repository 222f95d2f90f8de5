#!/usr/bin/env bash
# Runs the benchmarks of single functions: those of the Go packages and those of the crates.
# BENCH is a regular expression of Go benchmarks to run (all).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

list_packages
mapfile -t packages < <(packages_with Benchmark <<<"$PACKAGES")
[[ ${#packages[@]} == 0 ]] || go test -run '^$' -bench "${BENCH:-.}" -benchmem "${packages[@]}"
if compgen -G '*/benches/*.rs' >/dev/null; then cargo bench --workspace --all-features; fi
