#!/usr/bin/env bash
# Installs the pinned tools named as arguments into .tools/bin, or all of them without arguments but
# those that continuous integration does not run.
# A tool is built again only when its pin or the compiler changes; see the stamps in .tools/stamps.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# tool name | folder of the go.mod that pins it | package, or: tool name | cargo | version
CATALOG="
buf                   | tools      | github.com/bufbuild/buf/cmd/buf
gofumpt               | tools      | mvdan.cc/gofumpt
tally                 | tools      | ./tally
govulncheck           | tools      | golang.org/x/vuln/cmd/govulncheck
protoc-gen-go         | tools/gen  | google.golang.org/protobuf/cmd/protoc-gen-go
protoc-gen-go-grpc    | tools/gen  | google.golang.org/grpc/cmd/protoc-gen-go-grpc
protoc-gen-openapiv2  | tools/gen  | github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2
golangci-lint         | tools/lint | github.com/golangci/golangci-lint/v2/cmd/golangci-lint
protoc-gen-prost      | cargo      | 0.5.0
protoc-gen-tonic      | cargo      | 0.5.0
cargo-deny            | cargo      | 0.20.2
cargo-mutants         | cargo      | 27.1.0
"

# Installed only when named: it takes minutes to build, and nothing but scripts/mutants-rules.sh runs it.
BY_NAME=cargo-mutants

# fresh NAME STAMP succeeds when the tool was built from exactly this pin.
fresh() {
	[[ -x $TOOLS/bin/$1 && -f $TOOLS/stamps/$1 && $(<"$TOOLS/stamps/$1") == "$2" ]]
}

built() {
	mkdir -p "$TOOLS/stamps"
	printf '%s\n' "$2" >"$TOOLS/stamps/$1"
	echo "tools: built $1 in ${SECONDS} s"
}

# sources prints what decides how a Go tool is built: its pins, and its code where that is ours.
sources() {
	cd "$ROOT/$1"
	cat go.mod go.sum
	if [[ $2 == ./* ]]; then cat "$2"/*.go; fi
}

go_tool() {
	local name=$1 module=$2 package=$3 stamp
	need go "to build $name"
	stamp="$(go env GOVERSION) $(sources "$module" "$package" | sha256sum | cut -c 1-16)"
	fresh "$name" "$stamp" && return
	SECONDS=0
	mkdir -p "$TOOLS/bin"
	(cd "$ROOT/$module" && GOWORK=off CGO_ENABLED=0 go build -o "$TOOLS/bin/$name" "$package")
	built "$name" "$stamp"
}

cargo_tool() {
	local name=$1 version=$2 stamp cached
	need cargo "to build $name"
	stamp="$version $(cd "$ROOT" && rustc --version)"
	fresh "$name" "$stamp" && return
	SECONDS=0
	# Go keeps what it built for the next clone; cargo does not, so this does.
	cached=${XDG_CACHE_HOME:-${HOME:-$TOOLS}/.cache}/muster-tools/$name-${stamp//[^a-zA-Z0-9.-]/_}
	mkdir -p "$TOOLS/bin" "$(dirname "$cached")"
	if [[ ! -x $cached ]]; then
		cargo_install "$name" "$version"
		# Renamed into place: another clone may be doing the same.
		cp "$TOOLS/bin/$name" "$cached.$$"
		mv "$cached.$$" "$cached"
	fi
	cp "$cached" "$TOOLS/bin/$name"
	built "$name" "$stamp"
}

# Unoptimised: cargo-deny builds in 63 s instead of 154 s on two cores, and none of these tools runs
# for long. Tools built in one go share the target folder, which then goes: it is large.
cargo_install() {
	(cd "$ROOT" && cargo install --locked --quiet --force --profile dev --config profile.dev.debug=false \
		--target-dir "$TOOLS/target" --root "$TOOLS" "$1@$2")
}

install() {
	local name module package
	while IFS='|' read -r name module package; do
		read -r name <<<"$name" && read -r module <<<"$module" && read -r package <<<"$package"
		[[ $name == "$1" ]] || continue
		if [[ $module == cargo ]]; then cargo_tool "$name" "$package"; else go_tool "$name" "$module" "$package"; fi
		return
	done <<<"$CATALOG"
	die "no tool named $1 in the catalog of scripts/tools.sh"
}

trap 'rm -rf "$TOOLS/target"' EXIT
names=("$@")
if [[ $# == 0 ]]; then
	mapfile -t names < <(awk -F'|' 'NF { gsub(/ /, "", $1); print $1 }' <<<"$CATALOG" | grep -vxF "$BY_NAME")
fi
for name in "${names[@]}"; do
	install "$name"
done
