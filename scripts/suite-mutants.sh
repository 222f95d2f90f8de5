#!/usr/bin/env bash
# Changes the rules of the Go client in one place at a time: the vectors alone must notice nearly every
# change, and conformance/MUTANTS.md must explain each that they do not.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

if [[ -z ${TALLY:-} ]]; then
	exec scripts/test.sh mutants
fi
PARALLEL=${PARALLEL:-$(nproc)} tally one mutants "$TALLY" -- scripts/mutants-rules.sh go
