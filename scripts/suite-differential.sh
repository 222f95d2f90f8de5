#!/usr/bin/env bash
# Asks both languages' evaluators the same random questions about the rules and compares. TIME is how
# long (60s), SEED what the questions follow from (the clock), RULES which rules (all).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

if [[ -z ${TALLY:-} ]]; then
	exec scripts/test.sh differential
fi
scripts/build.sh differential || { tally one differential "$TALLY" -- false; exit 1; }
tally one differential "$TALLY" -- bin/fuzz -time "${TIME:-60s}" -rules "${RULES:-}" ${SEED:+-seed "$SEED"}
