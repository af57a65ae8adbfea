#!/usr/bin/env bash
# versions.sh check|align MODULE...: what several modules of the repository use has to be
# of one version in all of them, or it is compiled once for each. check fails and says
# what differs; align raises what is lower, after which go.mod files want go mod tidy.
#
set -euo pipefail

# FOLDER:MODULE of what has a reason to differ, with the reason.
exceptions=(
  # Its newest release does not compile with a later parser.
  hack/gateways/binaries/prom-label-proxy:github.com/prometheus/prometheus
)

cd "$(dirname "$0")/../.."
verb=$1
shift

# Lines "MODULE VERSION FOLDER" of what the packages and tools of each folder are made of.
# Prometheus is built without what finds targets in clouds.
used() {
  local format='{{with .Module}}{{with or .Replace .}}{{if .Version}}{{.Path}} {{.Version}}{{end}}{{end}}{{end}}' folder
  for folder in "$@"; do
    go list -C "$folder" -tags=remove_all_sd -test -deps -f "$format" ./... tool 2> >(grep -v 'matched no packages\|^go: downloading' >&2) |
      sort -u | sed "s|\$| $folder|"
  done
}

# Lines "MODULE HIGHEST FOLDER VERSION" of what is lower somewhere than elsewhere.
behind() {
  used "$@" | sort -k1,1 -k2,2V | awk '
    function flush(   i) { for (i = 0; i < n; i++) if (version[i] != version[n-1]) print module, version[n-1], folder[i], version[i]; n = 0 }
    $1 != module { flush(); module = $1 }
    { folder[n] = $3; version[n++] = $2 }
    END { flush() }' |
    awk -v exceptions="${exceptions[*]-}" '
      BEGIN { split(exceptions, list, " "); for (i in list) excepted[list[i]] }
      !(($3 ":" $1) in excepted)'
}

case $verb in
check)
  drift=$(behind "$@")
  [ -z "$drift" ] && exit
  awk '{ print $3 "/go.mod uses " $1 " " $4 ", others " $2 }' <<<"$drift" >&2
  echo "modules do not agree on versions: run make align, or list the reason in hack/tools/versions.sh" >&2
  exit 1
  ;;
align)
  while drift=$(behind "$@") && [ -n "$drift" ] && [ "$drift" != "${before-}" ]; do
    before=$drift
    for folder in $(awk '{ print $3 }' <<<"$drift" | sort -u); do
      echo "==> $folder" >&2
      awk -v folder="$folder" '$3 == folder { print $1 "@" $2 }' <<<"$drift" | xargs go get -C "$folder"
      go mod tidy -C "$folder"
    done
  done
  ;;
esac
