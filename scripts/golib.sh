# Sourced by the suites of Go tests: which packages there are and which suite a test belongs to.
# shellcheck shell=bash
#
# The name of a test says its suite: TestKill9... crash, TestSim... simulation, TestE2E... end to
# end, any other Go. All tests of packages below a folder e2e/ or sim/ belong to that suite.

OTHER_SUITES='^Test(Kill9|Sim|E2E)'

# The race detector is part of every Go test and needs a C compiler.
need_race() {
	need go "to run the Go tests"
	command -v "${CC:-gcc}" >/dev/null || command -v clang >/dev/null ||
		die "no C compiler: the race detector needs one. Install gcc (Debian: apt-get install gcc libc6-dev), or set CC"
	export CGO_ENABLED=1
}

# go_packages prints the folders of all packages of the workspace that hold tests.
go_packages() {
	local dirs
	mapfile -t dirs < <(go list -m -f '{{.Dir}}/...')
	go list -e -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "${dirs[@]}" 2> >(grep -v 'matched no packages' >&2) | grep . || true
}

in_suite_folder() { grep -E "^$ROOT(/.*)?/$1(/|\$)" || true; }

outside_suite_folders() { grep -vE "^$ROOT(/.*)?/(e2e|sim)(/|\$)" || true; }

# packages_with PATTERN reads folders and prints those with a test function that matches.
packages_with() {
	local dir
	while read -r dir; do
		if grep -qE "^func $1" "$dir"/*_test.go; then echo "$dir"; fi
	done
}

# named_suite SUITE FOLDER PREFIX runs the tests of FOLDER's packages and those named PREFIX elsewhere.
# Never from the cache: what they test includes processes and disks.
named_suite() {
	local whole named status=0
	mapfile -t whole < <(go_packages | in_suite_folder "$2")
	mapfile -t named < <(go_packages | outside_suite_folders | packages_with "$3")
	if [[ ${#whole[@]} == 0 && ${#named[@]} == 0 ]]; then
		echo "no test is in a folder $2/ or named $3..."
		return 0
	fi
	if [[ ${#whole[@]} -gt 0 ]]; then
		tally go "$1" "$TALLY" -- go test -json -race -count=1 -timeout 20m "${whole[@]}" || status=1
	fi
	if [[ ${#named[@]} -gt 0 ]]; then
		tally go "$1" "$TALLY" -- go test -json -race -count=1 -timeout 20m -run "^$3" "${named[@]}" || status=1
	fi
	return "$status"
}
