#!/usr/bin/env bash
# build.sh BINARY PACKAGE: builds a tool at the version that go.mod beside this file
# pins. A first build takes about a minute or two; it says how far it is.
set -euo pipefail

binary=$1
package=$2
cd "$(dirname "$0")/../.."
mkdir -p "$(dirname "$binary")"
# What is new is named on standard error, a line a module or package: counted, it is a
# sign of life. Whatever else is said there is passed on.
CGO_ENABLED=0 go build -C hack/tools -v -trimpath -ldflags '-s -w' -o "$PWD/$binary" "$package" 2>&1 |
  awk '
    /^go: downloading / { if (++modules % 50 == 0) print "    " modules " modules downloaded"; fflush(); next }
    /^[^ :]+$/          { if (++packages % 200 == 0) print "    " packages " packages compiled"; fflush(); next }
                        { print; fflush() }' >&2
# Newer than go.mod also where there was nothing to compile.
touch "$binary"
