#!/usr/bin/env bash
# Runs the checks named as arguments, or all of them, and says of each what fixes it. Nothing is
# changed. With TALLY set to a file it adds its counts there and prints no total.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1

# name | what to run when it fails | function in checks.sh
CHECKS="
gofumpt        | make fmt                                           | check_gofumpt
golangci-lint  | mend the code, or suppress with a reason           | check_golangci
go-mod         | make tidy                                          | check_go_mod
go-modules     | let each go.mod require and replace what it needs  | check_go_modules
rustfmt        | make fmt                                           | check_rustfmt
clippy         | mend the code, or allow with a reason              | check_clippy
crate-features | mend the code behind the feature                   | check_crate_features
msrv           | do without what is newer, or raise rust-version in Cargo.toml and README | check_msrv
rustdoc        | mend the comments                                  | check_rustdoc
buf-format     | make fmt                                           | check_buf_format
buf-lint       | mend the .proto files                              | check_buf_lint
buf-breaking   | keep the protocol compatible, or make release-image | check_buf_breaking
generated      | make generate                                      | check_generated
api-parity     | make the APIs alike, or explain the difference; scripts/api-parity.sh --write | check_api_parity
cargo-deny     | see deny.toml                                      | check_cargo_deny
words          | use the project's words                            | check_words
sizes          | split the file                                     | check_sizes
scripts        | mend the script                                    | check_scripts
"

names=("$@")
if [[ $# == 0 ]]; then
	mapfile -t names < <(awk -F'|' 'NF { gsub(/ /, "", $1); print $1 }' <<<"$CHECKS")
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

# run NAME FIX FUNCTION
run() {
	local start=$SECONDS
	# In a shell of its own: bash ignores `set -e` in whatever an `if` runs itself.
	if bash -euo pipefail -c '. scripts/lib.sh; . scripts/checks.sh; "$0"' "$3" >"$log" 2>&1 </dev/null; then
		passed=$((passed + 1))
		printf 'ok      %-15s %4d s\n' "$1" $((SECONDS - start))
	else
		failed=$((failed + 1))
		cat "$log"
		printf 'FAILED  %-15s %4d s  to fix: %s\n' "$1" $((SECONDS - start)) "$2"
	fi
}

for wanted in "${names[@]}"; do
	found=
	while IFS='|' read -r name fix function; do
		read -r name <<<"$name" && read -r fix <<<"$fix" && read -r function <<<"$function"
		[[ $name == "$wanted" ]] || continue
		found=yes
		run "$name" "$fix" "$function"
	done <<<"$CHECKS"
	[[ $found ]] || die "no check named $wanted in scripts/check.sh"
done

if [[ -n ${TALLY:-} ]]; then
	printf 'check\t%d\t%d\t0\t%d\n' "$passed" "$failed" $((SECONDS * 1000)) >>"$TALLY"
else
	echo "$passed passed, $failed failed"
fi
[[ $failed == 0 ]]
