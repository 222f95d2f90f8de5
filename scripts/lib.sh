# Sourced by the other scripts: where things are and the environment that every build uses.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOLS=$ROOT/.tools
export PATH="$TOOLS/bin:$PATH"
# A checkout without history (an unpacked release) must build as well.
export GOFLAGS=-buildvcs=false

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# need COMMAND WHY: stops with a clear message when the machine lacks a command.
need() {
	command -v "$1" >/dev/null || die "$1 is not on PATH; it is needed $2. Install it and run this again"
}

# go_modules prints the folders of all Go modules with packages of their own, relative to the root.
# Those that only pin tools have none.
go_modules() {
	(cd "$ROOT" && git ls-files --cached --others --exclude-standard -- 'go.mod' '*/go.mod' |
		xargs -n 1 dirname | grep -vxE 'tools/(gen|lint)')
}

# workspace_modules prints those of them that go.work joins.
workspace_modules() {
	(cd "$ROOT" && go list -m -f '{{.Dir}}' | sed -e "s|^$ROOT\$|.|" -e "s|^$ROOT/||")
}

# separate_modules prints the others: their dependencies are none of the users' business.
separate_modules() {
	comm -23 <(go_modules | sort) <(workspace_modules | sort)
}
