#!/usr/bin/env bash
# Runs the tests that kill real processes at random moments and look at what they left on disk.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/golib.sh"
cd "$ROOT"

prepare crash
named_suite crash crash TestKill9
