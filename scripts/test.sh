#!/usr/bin/env bash
# Runs the test suites named as arguments, or all of them, and prints a table and as its last line
# "N passed, N failed". With TALLY set to a file, it only adds its counts there.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1

suites=("$@")
[[ $# -gt 0 ]] || suites=(go rust crash sim e2e conformance mutants differential fuzz)

"$ROOT/scripts/tools.sh" tally || { echo "the counting tool does not build: see above"; echo "0 passed, 1 failed"; exit 1; }

own_tally=
if [[ -z ${TALLY:-} ]]; then
	TALLY=$(mktemp)
	own_tally=$TALLY
	trap 'rm -f "$own_tally"' EXIT
fi
export TALLY

failed=0
for suite in "${suites[@]}"; do
	echo "== $suite"
	if [[ ! -x scripts/suite-$suite.sh ]]; then
		echo "there is no suite named $suite; known: $(cd scripts && echo suite-*.sh | sed 's/suite-//g; s/\.sh//g')"
		tally one "$suite" "$TALLY" -- false >/dev/null
		failed=1
		continue
	fi
	scripts/"suite-$suite.sh" || failed=1
done

[[ -z $own_tally ]] || tally sum "$own_tally" || failed=1
exit "$failed"
