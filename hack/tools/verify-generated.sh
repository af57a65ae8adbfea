#!/usr/bin/env bash
# verify-generated.sh CONTROLLER_GEN: fails if the generated files are not what api/
# generates. It generates in a copy: the work tree stays as it is, and what else is
# uncommitted there is of no importance.
set -euo pipefail

controller_gen=$(realpath "$1")
cd "$(dirname "$0")/../.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/config" "$copy/hack"
cp -R api go.mod go.sum "$copy"
cp -R config/crd "$copy/config"
cp hack/boilerplate.go.txt "$copy/hack"
hack/tools/generate.sh "$controller_gen" "$copy"

status=0
for folder in api config/crd; do
  diff -ru "$folder" "$copy/$folder" || status=1
done
if [ "$status" -ne 0 ]; then
  echo "generated files differ from what api/ generates: run make generate and commit the result" >&2
fi
exit "$status"
