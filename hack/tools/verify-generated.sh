#!/usr/bin/env bash
# verify-generated.sh CONTROLLER_GEN CRD_REF_DOCS: fails if the generated files are not what
# api/ generates. It generates in a copy: the work tree stays as it is, and what else is
# uncommitted there is of no importance.
set -euo pipefail

tools=("$(realpath "$1")" "$(realpath "$2")")
cd "$(dirname "$0")/../.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/config" "$copy/docs" "$copy/hack/tools"
cp -R api go.mod go.sum "$copy"
cp -R config/crd "$copy/config"
cp hack/boilerplate.go.txt "$copy/hack"
cp -R hack/tools/reference "$copy/hack/tools"
hack/tools/generate.sh "${tools[@]}" "$copy"

status=0
for generated in api config/crd docs/reference.md; do
  diff -ru "$generated" "$copy/$generated" || status=1
done
if [ "$status" -ne 0 ]; then
  echo "generated files differ from what api/ generates: run make generate and commit the result" >&2
fi
exit "$status"
