#!/usr/bin/env bash
# Formats all hand-written code.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"
. "$ROOT/scripts/checks.sh"

scripts/tools.sh gofumpt buf
tracked '*.go' | hand_written | xargs -r gofumpt -w
cargo fmt --all
for module in proto examples/proto; do
	[[ ! -d $module ]] || buf format -w "$module"
done
