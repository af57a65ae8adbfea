#!/usr/bin/env bash
# programs.sh missing|install TARGET: what a target of the Makefile runs that is no Go
# module, and so cannot be built like all else. This is the one list of it.
#
#   missing  names, in one line, what is not installed, and how to install it
#   install  installs it, if this is root on Debian; does nothing otherwise
set -euo pipefail

# Programs, each with the package that has it on Debian, and the targets that run it.
programs='
curl        curl        demo,test
gcc         gcc         test
nginx       nginx       test
haproxy     haproxy     test
prometheus  prometheus  test
promtool    prometheus  test
spin        spin        test
'

# Distributions keep some of it where only root looks.
PATH=$PATH:/usr/sbin:/sbin
missing=()
packages=()
while read -r program package target; do
  if [[ ",$target," == *",${2-},"* ]] && [ -z "$(type -P "$program")" ]; then
    missing+=("$program")
    [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
  fi
done <<<"$programs"
[ "${#missing[@]}" -gt 0 ] || exit 0

case ${1-} in
missing)
  echo "not installed: ${missing[*]}; install what has them, on Debian as root: apt-get update && apt-get install ${packages[*]}"
  ;;
install)
  [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] || exit 0
  echo "==> apt-get install ${packages[*]}" >&2
  # Their services are nobody's wish here: nginx would take port 80. Debian asks this file
  # before a package starts one.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  # What fails here is still missing afterwards, and then named.
  log=$(mktemp)
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes "${packages[@]}"; } >"$log" 2>&1 || tail -n 20 "$log" >&2
  rm -f "$log"
  ;;
esac
