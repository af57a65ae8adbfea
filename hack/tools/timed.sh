#!/usr/bin/env bash
# timed.sh NAME COMMAND...: runs COMMAND, says so before, and says afterwards how long
# it took and whether it failed.
set -euo pipefail

name=$1
shift
echo "==> $name" >&2
began=$SECONDS
status=0
"$@" || status=$?
if [ "$status" -eq 0 ]; then
  echo "==> $name: ok, $((SECONDS - began)) s" >&2
else
  echo "==> $name: FAILED with status $status, $((SECONDS - began)) s" >&2
fi
exit "$status"
