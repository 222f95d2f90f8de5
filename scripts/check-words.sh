#!/usr/bin/env bash
# Fails on words that must not stand in the project's files: paths of one machine, and words that
# compete with the project's own vocabulary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

status=0

# forbid WHY PATTERN PATHSPEC... names every line that holds the pattern. Written so that the
# patterns do not match themselves.
forbid() {
	local why=$1 pattern=$2 found
	shift 2
	found=$(git grep --untracked -nIiE "$pattern" -- "$@" || true)
	[[ -z $found ]] && return
	status=1
	echo "$why:"
	echo "$found"
}

generated=(':!*.pb.go' ':!gen/rust/src/gen' ':!gen/openapi' ':!Cargo.lock' ':!third_party' ':!LICENSE')
code=('*.go' '*.rs' '*.proto' "${generated[@]}")

forbid "a path outside the repository" '[.][.]/share[d]|/work/(mai[n]|share[d])|/roo[t]/|/hom[e]/[a-z]|/User[s]/[a-z]' . "${generated[@]}"
forbid "a registry's host: go and cargo know where to look" '(proxy|sum)[.]golang[.]or[g]|index[.]crates[.]i[o]' . "${generated[@]}"
forbid "say keepalive" 'heart[-_ ]?bea[t]' "${code[@]}"
forbid "a leftover" '\b(FIXM[E]|XX[X]|HAC[K])\b' . "${generated[@]}"
# Protocol messages live in two languages: a word decided there is decided everywhere.
forbid "say instance, endpoint or server (docs/protocol.md names the parts)" '\b(nod[e]|backen[d])s?\b' proto

exit "$status"
