#!/usr/bin/env bash
# Runs the unit and property tests of every Go module with the race detector.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

status=0
prepare go

mapfile -t packages < <(outside_suite_folders <<<"$PACKAGES")
tally go go "$TALLY" -- go test -json -race -timeout 15m -skip "$OTHER_SUITES" "${packages[@]}" || status=1

# Modules outside the workspace have dependencies that its users must not get.
for module in $(separate_modules); do
	[[ -n $(git ls-files --cached --others --exclude-standard -- "$module/**_test.go") ]] || continue
	GOWORK=off tally go go "$TALLY" -- go -C "$module" test -json -race -timeout 15m ./... || status=1
done
exit "$status"
