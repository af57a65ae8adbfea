#!/usr/bin/env bash
# build.sh BINARY PACKAGE [MODULE]: builds a program at the version that the go.mod of
# MODULE, by default the one beside this file, pins. A first build takes about a minute
# or two; it says how far it is.
set -euo pipefail

binary=$(realpath -m "$1")
package=$2
module=$(realpath "${3:-$(dirname "$0")}")
mkdir -p "$(dirname "$binary")"
# It appears under its name only when it is complete.
partial=$(mktemp -d "$(dirname "$binary")/.build.XXXXXX")
trap 'rm -rf "$partial"' EXIT
# What is new is named on standard error, a line a module or package: counted, it is a
# sign of life. Whatever else is said there is passed on.
CGO_ENABLED=0 go build -C "$module" -v -trimpath -ldflags '-s -w' -o "$partial/program" "$package" 2>&1 |
  awk '
    /^go: downloading / { if (++modules % 50 == 0) print "    " modules " modules downloaded"; fflush(); next }
    /^[^ :]+$/          { if (++packages % 200 == 0) print "    " packages " packages compiled"; fflush(); next }
                        { print; fflush() }' >&2
mv "$partial/program" "$binary"
# Newer than go.mod also where there was nothing to compile.
touch "$binary"
