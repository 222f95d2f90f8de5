#!/usr/bin/env bash
# Changes the rules in one place at a time and tells which changes the vectors alone do not notice.
#   scripts/mutants-rules.sh go [FILE...]   by tools/mutate, of all rules or of the files named
#   scripts/mutants-rules.sh rust [FILE...] by cargo-mutants, likewise; the details are then in out/mutants.out
# In Go all of it takes two minutes of one processor, in Rust an hour. EVERY=10 tries every tenth change in
# Go, SHARD=0/10 in Rust: a sample, in a tenth of the time. PARALLEL is how many changes Go tries at a
# time (1); it fails if the score of all rules is below 95 %, or if conformance/MUTANTS.md does not explain
# exactly what survives.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

language=${1:?go or rust}
shift
case $language in
go)
	files=("$@") least=0
	[[ $# -gt 0 ]] || least=95
	[[ $# -gt 0 ]] || mapfile -t files < <(cd client-go && ls internal/rules/*.go | grep -vE '_test\.go$|/doc\.go$')
	mkdir -p bin
	(cd tools && GOWORK=off go build -o "$ROOT/bin/mutate" ./mutate)
	bin/mutate -every "${EVERY:-1}" -parallel "${PARALLEL:-1}" -min "$least" -explained ../conformance/MUTANTS.md \
		-dir client-go -test ./internal/rules/evaluate -run TestVectors "${files[@]}"
	;;
rust)
	scripts/tools.sh cargo-mutants
	args=(--dir client-rust/rules --package muster-rules --exclude '**/evaluate/**' --exclude '**/bin/**' --all-features)
	for file in "$@"; do args+=(--file "$file"); done
	[[ -z ${SHARD:-} ]] || args+=(--shard "$SHARD" --sharding round-robin)
	# Only what the vectors need is built, as fast as it goes; the unchanged rules are known to pass them.
	export CARGO_INCREMENTAL=1 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
	cargo test --quiet -p muster-rules --all-features --test vectors
	mkdir -p out
	env -u CARGO_TARGET_DIR cargo mutants "${args[@]}" --baseline skip --timeout 60 --no-times --cargo-arg=--test=vectors --output out
	;;
*) die "unknown language $language; go or rust" ;;
esac
