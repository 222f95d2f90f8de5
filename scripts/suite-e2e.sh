#!/usr/bin/env bash
# Tests the built programs as users run them. MUSTER_BIN_DIR is the folder with the programs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

prepare e2e
for language in go rust; do
	scripts/build.sh "$language" || { tally one e2e "$TALLY" -- false; exit 1; }
done
export MUSTER_BIN_DIR=$ROOT/bin
named_suite e2e e2e TestE2E
