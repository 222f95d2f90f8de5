#!/usr/bin/env bash
# Fuzzes every Go fuzz target for a short time each; a target counts as one test. FUZZTIME is how
# long (3s), FUZZ an extended regular expression that the target's name must match (all).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

# once NAME FOLDER fuzzes one target; also called by itself, below.
once() {
	go test -vet=off -run '^$' -fuzz "^$1\$" -fuzztime "${FUZZTIME:-3s}" "$2"
}

# fuzz tries a second time when the fuzzer itself ran into its own deadline (golang/go#48591); a
# finding is never tried again, because it leaves an input in testdata/fuzz.
fuzz() {
	local log status=0
	log=$(mktemp)
	once "$1" "$2" >"$log" 2>&1 || status=$?
	if [[ $status != 0 ]] && grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"; then
		status=0
		once "$1" "$2" >"$log" 2>&1 || status=$?
	fi
	if [[ $status == 0 ]]; then
		echo "ok   $1 ($(grep -oE 'execs: [0-9]+' "$log" | tail -1))"
	else
		cat "$log"
		echo "FAIL $1 in ${2#"$ROOT/"}"
		! grep -q 'Failing input written' "$log" || echo "     commit the input in testdata/fuzz along with the fix"
	fi
	rm -f "$log"
	return "$status"
}

if [[ ${1:-} == --one ]]; then
	fuzz "$2" "$3"
	exit
fi

status=0
prepare fuzz
while read -r dir; do
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$dir"/*_test.go | grep -E "${FUZZ:-.}"); do
		tally one fuzz "$TALLY" -- "$0" --one "$target" "$dir" || status=1
	done
done < <(packages_with Fuzz <<<"$PACKAGES")
exit "$status"
