#!/usr/bin/env bash
# Compares the public APIs of the clients with each other and with docs/api-parity.md.
# With --write it writes the document.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

need cargo "to document the Rust client"
need go "to compare"
for crate in muster-client muster-client-otel; do
	# The JSON of rustdoc is not stable yet; the program knows the version that our toolchain writes.
	RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --locked --package "$crate" --all-features --lib -- \
		-Z unstable-options --output-format json
done
go run ./conformance/parity -rustdoc "${CARGO_TARGET_DIR:-target}/doc" ${1:+"-${1#--}"}
