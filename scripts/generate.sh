#!/usr/bin/env bash
# Makes the generated code from the .proto files.
#   scripts/generate.sh          replaces the generated files
#   scripts/generate.sh --check  compares them with what the .proto files give and names the differences
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Folders that hold generated files and nothing else, each with the .proto file folder and the
# template it comes from. A pair whose .proto folder does not exist is passed over.
OUTPUTS="
gen/go/muster                proto/muster/v1         buf.gen.yaml
gen/openapi                  proto/muster/v1         buf.gen.yaml
gen/rust/src/gen             proto/muster/v1         buf.gen.yaml
server/internal/storepb      proto/muster/store/v1   buf.gen.store.yaml
examples/go/gen              examples/proto          buf.gen.examples.yaml
examples/rust/src/gen        examples/proto          buf.gen.examples.yaml
"

present() { awk 'NF' <<<"$OUTPUTS" | while read -r out proto template; do
	if [[ -d $ROOT/$proto ]]; then echo "$out $template"; fi
done; }

generate_into() {
	local template
	present | awk '{ print $2 }' | sort -u | while read -r template; do
		(cd "$ROOT" && buf generate --template "$template" --output "$1")
	done
}

replace() {
	local out
	present | while read -r out _; do
		[[ -d $1/$out ]] || die "no files came out for $out; see its buf.gen template"
		rm -rf "${ROOT:?}/$out"
		mkdir -p "$(dirname "$ROOT/$out")"
		cp -R "$1/$out" "$ROOT/$out"
	done
}

check() {
	local out differences changed=0
	while read -r out _; do
		differences=$(cd "$1" && diff -rqN "$out" "$ROOT/$out" || true)
		[[ -n $differences ]] || continue
		changed=1
		sed -E 's|^Files (.*) and .* differ$|not up to date: \1|' <<<"$differences"
	done < <(present)
	[[ $changed == 0 ]] || die "the generated files differ from the .proto files: run 'make generate' and commit"
}

"$ROOT/scripts/tools.sh" buf protoc-gen-go protoc-gen-go-grpc protoc-gen-openapiv2 protoc-gen-prost protoc-gen-tonic
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
generate_into "$fresh"
if [[ ${1:-} == --check ]]; then check "$fresh"; else replace "$fresh"; fi
