#!/usr/bin/env bash
# Looks for known vulnerabilities in what the project depends on. Both databases are fetched; when
# one cannot be, that is said, and the audit fails because it did not take place.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1

scripts/tools.sh govulncheck cargo-deny || exit 1
status=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# audit NAME PATTERN COMMAND...: PATTERN is how the command says that it cannot reach its database.
audit() {
	local name=$1 unreachable=$2
	shift 2
	if "$@" >"$log" 2>&1; then
		echo "ok           $name: nothing known"
		return
	fi
	status=1
	if grep -qiE "$unreachable" "$log"; then
		echo "NOT AUDITED  $name: its database cannot be reached from here ($(grep -iE -m 1 "$unreachable" "$log" | cut -c 1-160))"
	else
		cat "$log"
		echo "FAILED       $name"
	fi
}

for module in $(workspace_modules); do
	audit "Go module $module" 'fetching vulnerabilities|dial tcp|no such host|forbidden|proxyconnect' \
		env GOWORK=off govulncheck -C "$module" ./...
done
audit "Rust crates" 'failed to fetch|unable to|could not connect|io error|forbidden' \
	cargo deny --all-features check advisories
exit "$status"
