#!/usr/bin/env bash
# fuzz.sh TIME PACKAGE...: runs each fuzz target of the packages for TIME.
set -euo pipefail

time=$1
shift
for package in $(go list "$@"); do
  for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    echo "==> $package $target" >&2
    go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
  done
done
