#!/usr/bin/env bash
# Runs the unit and property tests of every Go module with the race detector.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

status=0
(need_race) || { tally one go "$TALLY" -- false || exit 1; }
export CGO_ENABLED=1

mapfile -t packages < <(go_packages | outside_suite_folders)
if [[ ${#packages[@]} == 0 ]]; then
	echo "no Go test was found: does go.work name the modules?"
	tally one go "$TALLY" -- false || status=1
else
	tally go go "$TALLY" -- go test -json -race -timeout 15m -skip "$OTHER_SUITES" "${packages[@]}" || status=1
fi

# Modules outside the workspace have dependencies that its users must not get.
for module in $(separate_modules); do
	[[ -n $(git ls-files --cached --others --exclude-standard -- "$module/**_test.go") ]] || continue
	GOWORK=off tally go go "$TALLY" -- go -C "$module" test -json -race -timeout 15m ./... || status=1
done
exit "$status"
