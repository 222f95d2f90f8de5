#!/usr/bin/env bash
# Runs the simulations: many servers, clients and faults under a virtual clock.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

prepare sim
named_suite sim sim TestSim
