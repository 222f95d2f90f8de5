#!/usr/bin/env bash
# Makes every go.mod list exactly what its packages import, and the workspace agree with them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# Dependencies first: a module takes over what the modules it replaces require.
for module in gen/go client-go . $(workspace_modules | grep -vxE 'gen/go|client-go|\.') $(separate_modules); do
	(cd "$ROOT/$module" && GOWORK=off go mod tidy)
done
