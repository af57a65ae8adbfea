SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Every Go module of the repository. A workspace of the developer's would replace
# their pinned versions.
MODULES := . hack/tools hack/controlplane/binaries hack/gateways/binaries/caddy hack/gateways/binaries/prom-label-proxy \
	hack/gateways/binaries/prometheus hack/gateways/binaries/collector test/gateways
export GOWORK := off

# Packages where goroutines of the product meet are tested with the race detector,
# which needs cgo and a C compiler. All others are tested without: what they need
# does not have to be compiled twice.
RACE_PACKAGES := ./internal/... ./webhook/... ./controllers/...
# The specs of the life of a key are run with it, too. They wait more than they work, so
# they are run in two halves at the same time, each on a control plane of its own.
LATER_LIFE := (audit|backup|etcd|expiry|import|rotation|touched|unwritten|usage)_test.go
lifecycle := go test -race -count=1 -timeout=20m $(TESTFLAGS) ./test/lifecycle
TESTFLAGS ?=
FUZZTIME ?= 30s
BENCHFLAGS ?=
MODEL ?=
SCHEDULES ?= 2000
ROUNDS ?= 200
# What the rounds are drawn from; 0 is the time.
SEED ?= 0
CGROUP ?=

CONTROLLER_GEN := bin/controller-gen
GOLANGCI_LINT := bin/golangci-lint

# $(run) NAME COMMAND... says what begins, and how long it took.
run := @hack/tools/timed.sh

##@ Help

.PHONY: help
help: ## Show this.
	@awk 'BEGIN { FS = ":.*## "; print "usage: make TARGET..." } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

##@ Build

.PHONY: build
build: ## Build bin/manager, bin/authserver and bin/kubectl-apikey, static.
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/manager ./cmd/authserver ./cmd/kubectl-apikey

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Generate the deepcopy functions and the CRDs from api/.
	hack/tools/generate.sh $(CONTROLLER_GEN)

.PHONY: manifests
manifests: ## Print what an installation applies (config/default).
	@"$$(go run ./hack/controlplane/cmd/controlplane build)/kubectl" kustomize config/default

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code.
	$(GOLANGCI_LINT) fmt

.PHONY: clean
clean: ## Remove what was built, but for bin/k8s and bin/gateways, which take long.
	find bin -mindepth 1 -maxdepth 1 ! -name k8s ! -name gateways -exec rm -rf {} +

##@ Check

.PHONY: verify
verify: verify-generated tidy-check vet lint ## Everything that is checked without running the code. Changes nothing.

.PHONY: verify-generated
verify-generated: $(CONTROLLER_GEN) ## Fail if generated files are not what api/ generates.
	$(run) "generated files" hack/tools/verify-generated.sh $(CONTROLLER_GEN)

.PHONY: tidy-check
tidy-check: ## Fail if a go.mod or go.sum is not tidy.
	$(run) "go mod tidy -diff" hack/tools/tidy-check.sh $(MODULES)

.PHONY: vet
vet: ## Run go vet.
	$(run) "go vet" go vet ./...
	$(run) "go vet of test/gateways" go -C test/gateways vet ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run golangci-lint: imports, clocks, errors, formatting and more (.golangci.yml).
	$(run) "golangci-lint" $(GOLANGCI_LINT) run
	$(run) "golangci-lint of test/gateways" bash -c 'cd test/gateways && ../../$(GOLANGCI_LINT) run --config ../../.golangci.yml'

##@ Test

.PHONY: test
test: test-race test-simulation test-faults-short test-rotation-short test-plain test-abuse test-gateways ## Run every test, on a real API server where one is needed.

.PHONY: test-race
test-race: controlplane
	$(run) "tests with the race detector" go test -race -count=1 -timeout=20m $(TESTFLAGS) $(RACE_PACKAGES)
	$(run) "the life of a key, with the race detector" hack/tools/beside.sh \
		$(lifecycle) -ginkgo.skip-file='$(LATER_LIFE)' --- $(lifecycle) -ginkgo.focus-file='$(LATER_LIFE)'

# The race detector takes ten times as long, and has its schedules in test-race.
.PHONY: test-simulation
test-simulation: ## Run the registry through SCHEDULES simulated schedules of faults.
	$(run) "simulation" go test -count=1 -timeout=2h -v ./internal/registry -run 'TestSimulation$$' -simulation.schedules=$(SCHEDULES)

.PHONY: test-plain
test-plain: controlplane
	$(run) "tests" go test -count=1 -timeout=20m $(TESTFLAGS) \
		$$(comm -23 <(go list ./... | sort) <(go list $(RACE_PACKAGES) ./test/faults ./test/rotation ./test/lifecycle ./test/abuse | sort))

# By themselves: what they do to a server, they do to the machine.
.PHONY: test-abuse
test-abuse: ## Hold and flood what can be of the auth server's listeners, beside valid requests.
	$(run) "abuse" go test -count=1 -timeout=10m $(TESTFLAGS) ./test/abuse

# In the folder of a test go test shows what is printed, here a table, while it runs.
.PHONY: test-gateways
test-gateways: controlplane gateways ## Send requests, good and bad, through real gateways, with the configurations of config/gateways.
	$(run) "gateways" bash -c 'cd test/gateways && go test -count=1 -timeout=20m $(TESTFLAGS)'
	$(run) "clients and attackers of gateways" bash -c 'cd test/gateways && go test -count=1 -timeout=20m $(TESTFLAGS) $$(go list ./... | tail -n +2)'

# By themselves: what times out because others use the machine looks like a fault.
faults := bash -c 'cd test/faults && go test -count=1 -timeout=5h $(TESTFLAGS) -args "$$@"' faults

.PHONY: test-faults-short
test-faults-short: controlplane
	$(run) "each kind of fault" $(faults) -seed=$(SEED)

.PHONY: test-faults
test-faults: controlplane ## Break the real product in ROUNDS rounds, drawn from SEED, and check what it promises.
	$(run) "faults" $(faults) -rounds=$(ROUNDS) -seed=$(SEED)

.PHONY: test-faults-mutants
test-faults-mutants: controlplane ## See that this fails when a protective step of the product is missing.
	$(run) "faults of mutants" $(faults) -mutants

# By themselves, too: what is refused must not be what came too late.
rotation := bash -c 'cd test/rotation && go test -count=1 -timeout=1h -v $(TESTFLAGS) -args "$$@"' rotation

.PHONY: test-rotation-short
test-rotation-short: controlplane
	$(run) "rotations" $(rotation)

.PHONY: test-rotation
test-rotation: controlplane ## Rotate a key 50 times under 2,000 requests a second, from clients that learn of it a minute late.
	$(run) "50 rotations" $(rotation) -rotations=50 -rate=2000 -lag=60s -min=70s -pause=7s -quiet=10s

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (make test runs their seeds only).
	@hack/tools/fuzz.sh $(FUZZTIME) ./api/... $(RACE_PACKAGES)

.PHONY: model
model: ## Check the model of revocation exhaustively (docs/revocation.md); needs spin. MODEL=quick checks the core of it.
	$(run) "model of revocation" test/model/run.sh $(MODEL)

.PHONY: bench-lifecycle
bench-lifecycle: controlplane ## Measure the life of keys; BENCHFLAGS=-help shows what can be set.
	@go run ./hack/bench $(BENCHFLAGS)

.PHONY: bench-flood
bench-flood: controlplane ## Measure what ten times as much junk does to valid requests; BENCHFLAGS=-help shows what can be set.
	@go run ./hack/flood $(BENCHFLAGS)

# CGROUP is one whose children may have limits, to be made by root; on cgroup v2 its
# cgroup.subtree_control has to name memory.
.PHONY: bench-memory
bench-memory: controlplane ## Store 2,000 of the largest APIKeys that are accepted, beside programs in cgroups of 256 MiB below CGROUP.
	@test -n "$(CGROUP)" || { echo "CGROUP is not set; give the folder of a cgroup that has a memory controller" >&2; exit 2; }
	@cd test/tenants && go test -count=1 -timeout=2h -ginkgo.focus='however large' $(TESTFLAGS) -args -large.count=2000 -large.cgroup=$(CGROUP)

.PHONY: demo
demo: controlplane ## Show the life of a key; DEMO=check ends after it, and fails if anything was not as it should be.
	@CGO_ENABLED=0 go build -o bin/demo ./hack/demo
	@bin/demo $(if $(filter check,$(DEMO)),-check)

##@ Tools

.PHONY: controlplane
controlplane: ## Bring about the Kubernetes binaries that tests need, in bin/k8s.
	$(run) "Kubernetes binaries" go run ./hack/controlplane/cmd/controlplane build >/dev/null

.PHONY: gateways
gateways: ## Bring about the gateways and clients that no distribution has, in bin/gateways.
	$(run) "Caddy, prom-label-proxy, Prometheus, OpenTelemetry Collector" go run ./hack/gateways/cmd/gateways >/dev/null

.PHONY: tools
tools: $(CONTROLLER_GEN) $(GOLANGCI_LINT) ## Build the tools pinned in hack/tools/go.mod.

$(CONTROLLER_GEN): hack/tools/go.mod hack/tools/go.sum
	$(run) "build controller-gen" hack/tools/build.sh $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(GOLANGCI_LINT): hack/tools/go.mod hack/tools/go.sum
	$(run) "build golangci-lint" hack/tools/build.sh $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
