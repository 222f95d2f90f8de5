#!/usr/bin/env bash
# Tells what of the rules the vectors alone reach, in both languages: in Go every block that nothing
# reaches, in Rust the table of cargo llvm-cov, if that is installed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

profile=$(mktemp)
trap 'rm -f "$profile"' EXIT
(cd client-go && go test -count=1 -run '^TestVectors$' -coverpkg=./internal/rules -coverprofile="$profile" ./internal/rules/evaluate)
missed=$(awk 'NR > 1 { n[$1] += $3 } END { for (b in n) if (!n[b]) print "go: not reached: " b }' "$profile" | sort)
[[ -z $missed ]] || echo "$missed"

if cargo llvm-cov --version >/dev/null 2>&1; then
	cargo llvm-cov --package muster-rules --all-features --test vectors --ignore-filename-regex 'evaluate|bin'
else
	echo "rust: cargo-llvm-cov is not installed; cargo install cargo-llvm-cov"
fi
[[ -z $missed ]]
