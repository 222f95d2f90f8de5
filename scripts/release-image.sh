#!/usr/bin/env bash
# Records the public protocol as it is now. `make check-breaking` compares later states with it, so
# run this once for each release and commit the file with it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

scripts/tools.sh buf
mkdir -p proto/released
buf build proto --path proto/muster/v1 --exclude-source-info -o proto/released/muster.v1.binpb
echo "recorded proto/released/muster.v1.binpb"
