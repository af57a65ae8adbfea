#!/usr/bin/env bash
# Copyright 2026 The Hexcovery Authors.
# SPDX-License-Identifier: Apache-2.0
#
# run.sh checks the models of the protocol, revocation.pml and registration.pml,
# exhaustively: with every protective step in, nothing may be found; with any one of them
# out, a request has to be found that is accepted after its revocation was reported, or
# whose key is called unknown after it was given out. It prints a line for each
# configuration, and fails if one is not as it has to be.
#
#   run.sh              check all; some minutes on one core, at most 6 GB
#   run.sh quick        check safety, and that each of the seven steps is needed
#   run.sh NAME...      check these configurations only
#   run.sh story NAME   tell the shortest counterexample of a configuration
#   run.sh list         name the configurations
#
# BOUND and DRIFT in the environment replace the model's own, LIMIT that of
# liveness: for a larger model, which takes longer.
set -euo pipefail
telling=
models=$(cd "$(dirname "$0")" && pwd)

# Name, what has to come out (holds, or what its counterexample ends with), macros.
#   holds      searched to its end, nothing found
#   accepted   a request is accepted after completion was reported
#   late       a revocation is not reported in time
#   unknown    a key is called unknown after it was given out
# Those named registration... are of registration.pml, all others of revocation.pml.
# The steps of docs/revocation.md that also are mutations (test/mutation) have the
# same names here as there.
configurations='
safety                    holds     COVERAGE
safety-longer             holds     BOUND=3 DRIFT=2
liveness                  holds     CALM
no-endless-run            holds     CALM ENDLESS
zero-before-list          accepted  WITHOUT_ZERO_BEFORE_LIST
consistent-list           accepted  WITHOUT_CONSISTENT_LIST
apply-first               accepted  WITHOUT_APPLY_FIRST
fence                     accepted  WITHOUT_FENCE
deadline-from-sending     accepted  WITHOUT_DEADLINE_FROM_SENDING
late-renewal              accepted  WITHOUT_REJOIN
session                   accepted  WITHOUT_SESSION
stop-before-leave         accepted  WITHOUT_STOP_BEFORE_LEAVE
live-list                 accepted  WITHOUT_LIVE_LIST
look-of-after             accepted  WITHOUT_LOOK_FRESH WITHOUT_LOOK_SOMEBODY
survey-since              accepted  WITHOUT_SURVEY_SINCE
silence-answered          accepted  WITHOUT_SILENCE_ANSWERED
clock-before-list         accepted  WITHOUT_CLOCK_BEFORE_LIST
margin                    accepted  WITHOUT_MARGIN
conditional-writes        accepted  WITHOUT_CONDITIONAL_WRITES
conditional-collection    accepted  WITHOUT_CONDITIONAL_COLLECTION
lost-event                accepted  WITH_LOST_EVENT
counting-out              late      CALM WITHOUT_COUNTING_OUT
quiet                     late      CALM WITHOUT_QUIET
spare-look-fresh          holds     WITHOUT_LOOK_FRESH
spare-look-somebody       holds     WITHOUT_LOOK_SOMEBODY
spare-zero                holds     WITHOUT_ZERO
spare-deadline-last       holds     WITHOUT_DEADLINE_LAST
registration              holds     COVERAGE
registration-longer       holds     SUSPECT=3 DRIFT=2
registration-doubt-first  unknown   WITHOUT_DOUBT_FIRST
registration-doubt-after  unknown   WITHOUT_DOUBT_AFTER_SILENCE
registration-list         unknown   WITHOUT_LIST
registration-list-after   unknown   WITHOUT_LIST_AFTER
registration-silence      unknown   WITHOUT_SILENT_ANSWER
registration-second-look  unknown   WITHOUT_SECOND_LOOK
registration-margin       unknown   WITHOUT_MARGIN
'

# Every step in, and each of the seven out that docs/revocation.md tells of: 0 before
# list, live list, fence, session, re-join after a late renewal, clock before list,
# margin. Of the first, what matters is that the Lease stands before the list is
# made; that it says 0 is spare-zero.
quick='safety zero-before-list live-list fence session late-renewal clock-before-list margin registration registration-doubt-first registration-list-after'

fail() {
  echo "run.sh: $*" >&2
  exit 1
}

line_of() {
  awk -v name="$1" '$1 == name' <<<"$configurations"
}

need() {
  command -v spin >/dev/null || fail "spin is missing: install it (Debian, Ubuntu: apt-get install spin; else https://spinroot.com)"
  compiler=$(command -v "${CC:-cc}" || command -v gcc || command -v clang) ||
    fail "a C compiler is missing: install one (Debian, Ubuntu: apt-get install gcc), or set CC"
}

# build NAME EXPECTED MACRO... makes the checker of a configuration in the present
# directory. The search is breadth first where that finds a short counterexample
# soon, and in a story always; else depth first, which needs less time and memory.
build() {
  local expected=$2 macro
  case "$1" in
    registration*) model=$models/registration.pml ;;
    *) model=$models/revocation.pml ;;
  esac
  shift 2
  defines=()
  for macro in "$@" ${BOUND:+BOUND=$BOUND} ${DRIFT:+DRIFT=$DRIFT} ${LIMIT:+LIMIT=$LIMIT}; do
    defines+=("-D$macro")
  done
  # No reduction, no compression of states that could lose one, no bit states.
  options=(-O2 -w -DNOREDUCE -DMEMLIM="${MEMLIM:-6000}")
  arguments=(-m"${DEPTH:-3000000}")
  case " $* " in
    *" ENDLESS "*) arguments+=(-a) ;;
    *)
      options+=(-DSAFETY)
      if [ "$expected" = accepted ] || [ "$expected" = unknown ] || [ -n "$telling" ]; then options+=(-DBFS); fi
      ;;
  esac
  spin -a "${defines[@]}" "$model" >spin.out 2>&1 || { cat spin.out >&2; fail "$name: spin does not accept the model"; }
  "$compiler" "${options[@]}" -o pan pan.c >cc.out 2>&1 || { cat cc.out >&2; fail "$name: the checker does not compile"; }
}

# replay tells the counterexample that was found.
replay() {
  spin -t -T -k "${model##*/}.trail" "${defines[@]}" "$model" 2>/dev/null | sed -nE '/^spin:/d; s/^([a-z]+): /\1\t/p' | expand -t 11
}

# verdict says in one word what pan.out shows, or why it shows nothing.
verdict() {
  local errors
  errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' pan.out)
  if [ -z "$errors" ] || ! grep -q '^Full statespace search for:' pan.out; then
    echo "broken: no full search"
  elif grep -q 'max search depth too small' pan.out; then
    echo "truncated: the search was not deep enough"
  elif grep -Eqi 'out of memory|reached -DMEMLIM|memory limit' pan.out; then
    echo "truncated: out of memory"
  elif [ "$errors" = 0 ]; then
    if grep -q 'Search not completed' pan.out; then echo "truncated: not completed"; else echo holds; fi
  elif grep -q 'assertion violated.*request==4' pan.out && replay | tail -n 1 | grep -q 'request *IS ACCEPTED'; then
    echo accepted
  elif grep -q 'assertion violated.*request==5' pan.out && replay | tail -n 1 | grep -q 'request *IS CALLED UNKNOWN'; then
    echo unknown
  elif grep -q 'assertion violated (ticks<=' pan.out; then
    echo late
  else
    grep -m1 '^pan:1:' pan.out || echo "broken: an error of no known kind"
  fi
}

# unreached names the steps that no run takes: with them, the model would seem to
# check more than it does. Each step says what it does; only the last must not be.
unreached() {
  sed -n '/^unreached in/,$ s/.*"\(printf.*\)"$/ \1/p' pan.out | grep -Ev 'IS ACCEPTED|IS CALLED UNKNOWN' || true
}

# check NAME EXPECTED MACRO... prints a configuration's line; false if it is not as
# it has to be.
check() {
  local name=$1 expected=$2 began=$SECONDS found note='' status=0
  build "$@"
  ./pan "${arguments[@]}" >pan.out 2>&1 || true
  found=$(verdict)
  if [ "$found" != "$expected" ]; then
    note="  NOT AS IT HAS TO BE: $expected"
    status=1
  elif [[ " $* " = *" COVERAGE "* && -n "$(unreached)" ]]; then
    note="  NOT AS IT HAS TO BE: no run takes$(unreached)"
    status=1
  elif [ "$found" = accepted ] || [ "$found" = unknown ]; then
    note=" after $(replay | wc -l) steps"
  fi
  printf '%-24s %11s states %4d s  %s%s\n' "$name" "$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' pan.out)" $((SECONDS - began)) "$found" "$note"
  return "$status"
}

case "${1:-}" in
  list)
    awk 'NF { print $1 }' <<<"$configurations"
    exit
    ;;
esac

need
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"

if [ "${1:-}" = story ]; then
  # shellcheck disable=SC2046 # the words of the line are the arguments
  set -- $(line_of "${2:-}")
  [ $# -gt 2 ] || fail "story of which configuration? run.sh list names them"
  name=$1
  telling=yes
  build "$@"
  ./pan "${arguments[@]}" >pan.out 2>&1 || true
  [ -e "${model##*/}.trail" ] || fail "$name has no counterexample ($(verdict))"
  replay
  exit
fi

# shellcheck disable=SC2086 # names are words
[ "${1:-}" != quick ] || set -- $quick
[ $# -gt 0 ] || mapfile -t chosen < <(awk 'NF { print $1 }' <<<"$configurations")
[ $# -eq 0 ] || chosen=("$@")
failed=0
for name in "${chosen[@]}"; do
  read -r -a words <<<"$(line_of "$name")"
  [ "${#words[@]}" -gt 2 ] || fail "no configuration $name: run.sh list names them"
  check "${words[@]}" || failed=$((failed + 1))
done
[ "$failed" -eq 0 ] || fail "$failed of ${#chosen[@]} configurations are not as they have to be"
echo "all ${#chosen[@]} configurations are as they have to be, after $SECONDS s"
