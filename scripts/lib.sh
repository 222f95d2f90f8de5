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

# go_modules prints the folders of the project's own Go modules, the tools left out.
go_modules() {
	(cd "$ROOT" && git ls-files --cached --others --exclude-standard -- 'go.mod' '*/go.mod' |
		grep -v -e '^tools/' -e '^bench/engines/' | xargs -n 1 dirname)
}
