#!/usr/bin/env bash
# timed.sh NAME COMMAND...: runs COMMAND, says so before, and says afterwards how long
# it took, how much of it the processors worked, and whether it failed. It says so on file
# descriptor 5 where that is open: there it is seen at once, while what several commands
# print that run at the same time is kept apart until each of them has ended.
set -euo pipefail

{ true >&5; } 2>/dev/null || exec 5>&2
name=$1
shift
echo "==> $name" >&5
began=$SECONDS
status=0
"$@" 5>&- || status=$?
# What this shell's children and theirs have used, "1m2.345s 0m6.789s", which a subshell
# does not know.
used=$(mktemp)
times >"$used"
cpu=$(awk -F '[ms ]+' 'NR == 2 { printf "%.0f", 60 * $1 + $2 + 60 * $3 + $4 }' "$used")
rm -f "$used"
verdict=ok
[ "$status" -eq 0 ] || verdict="FAILED with status $status"
echo "==> $name: $verdict, $((SECONDS - began)) s ($cpu s of CPU)" >&5
exit "$status"
