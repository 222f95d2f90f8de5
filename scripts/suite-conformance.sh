#!/usr/bin/env bash
# Plays the scenarios of conformance/ in every language and compares what they show.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

scripts/build.sh conformance || { tally one conformance "$TALLY" -- false; exit 1; }
# The harness counts by itself; a run that could not begin counts as one that failed.
status=0
bin/harness -tally "$TALLY" || status=$?
[[ $status -lt 2 ]] || tally one conformance "$TALLY" -- false
exit "$status"
