#!/usr/bin/env bash
# Runs the benchmarks: those of the Go packages, those of the crates, and the programs in bench/.
# BENCH is a regular expression of Go benchmarks to run (all).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

list_packages
mapfile -t packages < <(packages_with Benchmark <<<"$PACKAGES")
[[ ${#packages[@]} == 0 ]] || go test -run '^$' -bench "${BENCH:-.}" -benchmem "${packages[@]}"
if compgen -G '*/benches/*.rs' >/dev/null; then cargo bench --workspace --all-features; fi
for program in bench/*.sh bench/*/run.sh; do
	[[ ! -x $program ]] || "$program"
done
