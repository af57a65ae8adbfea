#!/usr/bin/env bash
# generate.sh CONTROLLER_GEN CRD_REF_DOCS [ROOT]: writes what is generated from ROOT/api into
# ROOT, the root of the repository by default.
set -euo pipefail

controller_gen=$(realpath "$1")
crd_ref_docs=$(realpath "$2")
cd "${3:-$(dirname "$0")/../..}"
# What no type asks for any more would otherwise stay.
rm -f config/crd/auth.hexcovery.io_*.yaml
find api -name 'zz_generated.*.go' -delete
"$controller_gen" \
  object:headerFile=hack/boilerplate.go.txt \
  crd output:crd:dir=config/crd \
  paths=./api/...
"$crd_ref_docs" \
  --log-level=ERROR \
  --source-path=api \
  --config=hack/tools/reference/config.yaml \
  --templates-dir=hack/tools/reference \
  --renderer=markdown \
  --output-path=docs/reference.md
