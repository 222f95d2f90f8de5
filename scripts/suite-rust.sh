#!/usr/bin/env bash
# Runs the tests of every Rust crate, with all features, and the examples in their documentation.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

(need cargo "to run the Rust tests") || { tally one rust "$TALLY" -- false; exit 1; }
tally cargo rust "$TALLY" -- cargo test --quiet --workspace --all-features --no-fail-fast
