#!/usr/bin/env bash
# tidy-check.sh MODULE...: fails, and shows the difference, if the go.mod or go.sum of
# a module is not what go mod tidy would write.
set -euo pipefail

cd "$(dirname "$0")/../.."
status=0
for module in "$@"; do
  # Standard error names each download: of interest only if something is wrong.
  errors=$(mktemp)
  if ! go mod tidy -C "$module" -diff 2>"$errors"; then
    grep -v '^go: \(downloading\|finding\)' "$errors" >&2 || true
    echo "$module/go.mod or go.sum is not tidy: run go mod tidy in $module and commit the result" >&2
    status=1
  fi
  rm -f "$errors"
done
exit "$status"
