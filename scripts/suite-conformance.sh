#!/usr/bin/env bash
# Plays the scenarios of conformance/ in every language and compares what they show.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

scripts/build.sh conformance || { tally one conformance "$TALLY" -- false; exit 1; }
# The registries for tests must behave as the real one does. The harness counts by itself; a run that
# could not begin counts as one that failed.
failed=0
for registry in muster mustertest testing; do
	echo "-- the registry is $registry"
	status=0
	bin/harness -registry "$registry" -tally "$TALLY" || status=$?
	[[ $status -lt 2 ]] || tally one conformance "$TALLY" -- false
	[[ $status == 0 ]] || failed=1
done
exit "$failed"
