# Sourced by the suites of Go tests: which packages there are and which suite a test belongs to.
# shellcheck shell=bash
#
# The name of a test says its suite: TestKill9... crash, TestSim... simulation, TestE2E... end to
# end, any other Go. All tests of packages below a folder e2e/ or sim/ belong to that suite.

OTHER_SUITES='^Test(Kill9|Sim|E2E)'

# prepare SUITE makes sure that the suite can run, and counts a failure when it cannot.
prepare() {
	# In a shell of its own, because both end it; the second time only sets the variables.
	if ! (need_race && list_packages); then
		tally one "$1" "$TALLY" -- false
		exit 1
	fi
	need_race
	list_packages
}

# The race detector is part of every Go test and needs a C compiler.
need_race() {
	need go "to run the Go tests"
	command -v "${CC:-gcc}" >/dev/null || command -v clang >/dev/null ||
		die "no C compiler: the race detector needs one. Install gcc (Debian: apt-get install gcc libc6-dev), or set CC"
	export CGO_ENABLED=1
}

# PACKAGES is set by list_packages: the folders of all packages of the workspace that hold tests.
PACKAGES=

# list_packages stops the suite when Go cannot tell: no packages is never "nothing to test" here.
list_packages() {
	local modules patterns
	modules=$(cd "$ROOT" && go list -m -f '{{.Dir}}/...') || die "go.work or a go.mod cannot be read, see above"
	mapfile -t patterns <<<"$modules"
	PACKAGES=$(go list -e -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "${patterns[@]}" \
		2> >(grep -v 'matched no packages' >&2) | grep .) ||
		die "no Go package with tests was found: does go.work name the modules?"
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
	mapfile -t whole < <(in_suite_folder "$2" <<<"$PACKAGES")
	mapfile -t named < <(outside_suite_folders <<<"$PACKAGES" | packages_with "$3")
	if [[ ${#whole[@]} == 0 && ${#named[@]} == 0 ]]; then
		echo "no test is in a folder $2/ or named $3...: were they renamed?"
		tally one "$1" "$TALLY" -- false
		return 1
	fi
	if [[ ${#whole[@]} -gt 0 ]]; then
		tally go "$1" "$TALLY" -- go test -json -race -count=1 -timeout 20m "${whole[@]}" || status=1
	fi
	if [[ ${#named[@]} -gt 0 ]]; then
		tally go "$1" "$TALLY" -- go test -json -race -count=1 -timeout 20m -run "^$3" "${named[@]}" || status=1
	fi
	return "$status"
}
