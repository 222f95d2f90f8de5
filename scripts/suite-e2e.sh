#!/usr/bin/env bash
# Tests the built programs as users run them. MUSTER_BIN is the folder with the programs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

(need_race) || { tally one e2e "$TALLY" -- false || exit 1; }
tally one e2e "$TALLY" -- scripts/build.sh go || exit 1
export MUSTER_BIN=$ROOT/bin
named_suite e2e e2e TestE2E
