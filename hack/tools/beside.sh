#!/usr/bin/env bash
# beside.sh COMMAND [--- COMMAND]...: runs the commands at the same time, for those that
# wait more than they work, shows what each has printed when it has ended, and fails if
# one of them does.
set -euo pipefail

pids=()
outputs=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -f "${outputs[@]}"' EXIT
command=()
for word in "$@" ---; do
  if [ "$word" != --- ]; then
    command+=("$word")
    continue
  fi
  outputs+=("$(mktemp)")
  "${command[@]}" >"${outputs[-1]}" 2>&1 &
  pids+=("$!")
  command=()
done
status=0
for i in "${!pids[@]}"; do
  wait "${pids[$i]}" || status=$?
  cat "${outputs[$i]}"
done
exit "$status"
