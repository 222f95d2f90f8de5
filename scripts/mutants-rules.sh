#!/usr/bin/env bash
# Changes the rules in one place at a time and tells which changes the vectors alone do not notice.
#   scripts/mutants-rules.sh go [FILE...]   by tools/mutate, of all rules or of the files named
#   scripts/mutants-rules.sh rust [FILE...] by cargo-mutants, if that is installed
# EVERY=10 tries every tenth change in Go: a sample, in a tenth of the time.
# Survivors are explained in conformance/MUTANTS.md. All of it takes an hour or more.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

language=${1:?go or rust}
shift
case $language in
go)
	files=("$@")
	[[ $# -gt 0 ]] || mapfile -t files < <(cd client-go && ls internal/rules/*.go | grep -vE '_test\.go$|/doc\.go$')
	mkdir -p bin
	(cd tools && GOWORK=off go build -o "$ROOT/bin/mutate" ./mutate)
	bin/mutate -every "${EVERY:-1}" -dir client-go -test ./internal/rules/evaluate -run '^TestVectors$' "${files[@]}"
	;;
rust)
	cargo mutants --version >/dev/null 2>&1 || die "cargo-mutants is not installed; cargo install cargo-mutants --locked"
	args=()
	for file in "$@"; do args+=(--file "$file"); done
	cargo mutants --dir client-rust/rules --package muster-rules --exclude 'src/evaluate/**' --exclude 'src/bin/**' "${args[@]}" -- --all-features --test vectors
	;;
*) die "unknown language $language; go or rust" ;;
esac
