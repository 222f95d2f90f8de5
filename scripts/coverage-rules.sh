#!/usr/bin/env bash
# Tells what of the rules the vectors alone reach, in both languages: in Go every block that nothing
# reaches, in Rust a table of regions, lines and branches, if the compiler's llvm-tools are installed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

profile=$(mktemp)
trap 'rm -f "$profile"' EXIT
(cd client-go && go test -count=1 -run '^TestVectors$' -coverpkg=./internal/rules -coverprofile="$profile" ./internal/rules/evaluate)
missed=$(awk 'NR > 1 { n[$1] += $3 } END { for (b in n) if (!n[b]) print "go: not reached: " b }' "$profile" | sort)
[[ -z $missed ]] || echo "$missed"

# Branches need a flag that stable compilers take from those who insist.
tools=$(ls -d "$(rustc --print sysroot)"/lib/rustlib/*/bin 2>/dev/null | head -1)
if [[ -x $tools/llvm-cov ]]; then
	export CARGO_TARGET_DIR=$ROOT/target/coverage RUSTC_BOOTSTRAP=1 RUSTFLAGS="-C instrument-coverage -Z coverage-options=branch"
	raw=$(mktemp -d)
	trap 'rm -rf "$profile" "$raw"' EXIT
	binary=$(cargo test --quiet -p muster-rules --all-features --test vectors --no-run --message-format=json |
		grep -o '"executable":"[^"]*/vectors-[^"]*"' | cut -d '"' -f 4)
	LLVM_PROFILE_FILE=$raw/%p.profraw "$binary" --quiet >/dev/null
	"$tools/llvm-profdata" merge -sparse "$raw"/*.profraw -o "$raw/all"
	"$tools/llvm-cov" report "$binary" -instr-profile="$raw/all" -show-branch-summary \
		-ignore-filename-regex='/evaluate/|/bin/|/registry/|/rustc/|/tests/'
else
	echo "rust: llvm-cov is not installed; rustup component add llvm-tools"
fi
[[ -z $missed ]]
