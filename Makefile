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

# All is built and tested alike, as the programs that hack/build builds, so that what is
# shared is compiled once: static, without the paths of this machine, and without what a
# debugger needs, which is a sixth of the compiler's work. Where there is memory for it,
# the compiler collects garbage less often; what is tested runs with its own settings.
export CGO_ENABLED := 0
export GOFLAGS += -trimpath -gcflags=all=-dwarf=false $(shell \
	awk '/^MemTotal/ && $$2 >= 7340032 { printf "\047-toolexec=env GOGC=400\047" }' /proc/meminfo 2>/dev/null)
# What talks to other programs is run each time. For the rest the go command knows what has
# passed and has not changed since; TESTFLAGS=-count=1 runs it, too.
go_test := go test -count=1
go_test_cached := go test
# The race detector needs cgo and a C compiler.
go_test_race := env CGO_ENABLED=1 go test -race

# Packages where goroutines of the product meet are tested with the race detector, all
# others without: what they need does not have to be compiled twice. What repeats itself
# without end in one goroutine does so less often with it (-short), and is run in full
# without it, too.
SOLITARY_PACKAGES := ./internal/audit/trail ./internal/permission ./internal/plain ./internal/rotation ./internal/scope ./internal/workload
LONG_PACKAGES := ./internal/audit ./internal/usage/gather
RACE_PACKAGES := $$(comm -23 <(go list ./internal/... ./webhook/... ./controllers/... | sort) <(go list $(SOLITARY_PACKAGES) | sort))
PRODUCT_PACKAGES := ./api/... ./cmd/... ./controllers/... ./internal/... ./webhook/...
# What tests are run with: of the product it knows the types of api alone.
HARNESS_PACKAGES := ./hack/controlplane ./hack/gateways ./hack/link ./hack/load ./hack/process
# Those that are run by targets of their own.
OWN_TARGETS := ./test/lifecycle ./test/tenants ./test/mutation ./test/faults ./test/rotation ./test/abuse $(HARNESS_PACKAGES)
# Specs that wait more than they work are run by several processes of Ginkgo's, each with a
# control plane of its own: with twice as many as there are processors these are busy.
PROCS ?= 4
TESTFLAGS ?=
SPECFLAGS ?=
FUZZTIME ?= 30s
BENCHFLAGS ?=
MODEL ?=
SCHEDULES ?= 2000
ROUNDS ?= 200
# What the rounds are drawn from; 0 is the time.
SEED ?= 0
CGROUP ?=

CONTROLLER_GEN := bin/controller-gen
CRD_REF_DOCS := bin/crd-ref-docs
GOLANGCI_LINT := bin/golangci-lint
GINKGO := bin/ginkgo

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
	go build -ldflags '-s -w' -o bin/ ./cmd/manager ./cmd/authserver ./cmd/kubectl-apikey

.PHONY: generate
generate: $(CONTROLLER_GEN) $(CRD_REF_DOCS) ## Generate the deepcopy functions, the CRDs and docs/reference.md from api/.
	hack/tools/generate.sh $(CONTROLLER_GEN) $(CRD_REF_DOCS)

.PHONY: manifests
manifests: ## Print what an installation applies (config/default).
	@"$$(go run ./hack/build/cmd/build kubernetes)/kubectl" kustomize config/default

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go code.
	$(GOLANGCI_LINT) fmt

.PHONY: clean
clean: ## Remove what was built, but for bin/k8s and bin/gateways, which take long.
	find bin -mindepth 1 -maxdepth 1 ! -name k8s ! -name gateways -exec rm -rf {} +

##@ Check

.PHONY: verify
verify: verify-generated tidy-check versions vet lint ## Everything that is checked without running the code. Changes nothing.

.PHONY: verify-generated
verify-generated: $(CONTROLLER_GEN) $(CRD_REF_DOCS) ## Fail if generated files are not what api/ generates.
	$(run) "generated files" hack/tools/verify-generated.sh $(CONTROLLER_GEN) $(CRD_REF_DOCS)

.PHONY: tidy-check
tidy-check: ## Fail if a go.mod or go.sum is not tidy.
	$(run) "go mod tidy -diff" hack/tools/tidy-check.sh $(MODULES)

.PHONY: versions
versions: ## Fail if modules of this repository use different versions of what they share.
	$(run) "versions that modules share" hack/tools/versions.sh check $(MODULES)

.PHONY: align
align: ## Raise what is behind to the version that other modules of this repository use.
	hack/tools/versions.sh align $(MODULES)

.PHONY: vet
vet: ## Run go vet.
	$(run) "go vet" go vet ./...
	$(run) "go vet of test/gateways" go -C test/gateways vet ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) lint-api ## Run golangci-lint: imports, clocks, errors, formatting and more (.golangci.yml), and lint-api.
	$(run) "golangci-lint" $(GOLANGCI_LINT) run
	$(run) "golangci-lint of test/gateways" bash -c 'cd test/gateways && ../../$(GOLANGCI_LINT) run --config ../../.golangci.yml'

.PHONY: lint-api
lint-api: $(GOLANGCI_LINT) ## Run kube-api-linter over api/ (.golangci-kal.yml).
	$(run) "kube-api-linter" $(GOLANGCI_LINT) run --config .golangci-kal.yml ./api/...

##@ Test

# Rows that run at the same time, each one target after the other. What asks for most is in the
# first, and what waits for most of its time in the second. The others have what is not run
# again while its files are the same; the last keeps one processor busy. What measures comes
# when they have ended.
row_1 := test-life test-faults-short test-rotation-short
row_2 := test-gateways-table test-clients bin/harness-holds test-scaffolding test-tenants-untimed
row_3 := test-race test-plain bin/mutations-missed test-abuse
row_4 := bin/simulation-$(SCHEDULES)-holds test-model
run_behind := @nice -n 19 hack/tools/timed.sh
# How many rows run at the same time.
TEST_JOBS ?= 4

# File descriptor 5 is where they say that they begin and end (hack/tools/timed.sh); the
# rest of what a target prints comes when it has ended.
.PHONY: test
test: programs-test controlplane gateways $(GINKGO) ## Run every test, on a real API server where one is needed.
	@$(MAKE) --no-print-directory --jobs=$(TEST_JOBS) --output-sync=target test-row-1 test-row-2 test-row-3 test-row-4 5>&2
	@$(MAKE) --no-print-directory --old-file=controlplane test-tenants-measured

.PHONY: test-row-1 test-row-2 test-row-3 test-row-4
test-row-1 test-row-2 test-row-3 test-row-4: test-row-%:
	@trap 'exit 1' INT TERM; failed=0; for target in $(row_$*); do \
		$(MAKE) --no-print-directory --old-file=controlplane --old-file=gateways $$target || failed=1; \
	done; exit $$failed

.PHONY: test-race
test-race:
	$(run_behind) "tests with the race detector" $(go_test_race) -short -timeout=20m $(TESTFLAGS) $(RACE_PACKAGES)

# $(call specs,FOLDER,FLAGS OF THE BUILD) builds the specs of a folder, and runs them.
specs = bash -c '$(GINKGO) build $(2) test/$(1) >/dev/null && \
	$(GINKGO) run --procs=$(PROCS) --timeout=20m $(SPECFLAGS) test/$(1)/$(1).test'

.PHONY: test-life
test-life: controlplane $(GINKGO)
	$(run) "the life of a key, with the race detector" env CGO_ENABLED=1 $(call specs,lifecycle,--race)

# The race detector takes ten times as long, and has its schedules in test-race.
simulation := $(run_behind) "simulation" $(go_test) -timeout=2h -v ./internal/registry -run 'TestSimulation$$' -simulation.schedules=$(SCHEDULES)
mutations := $(run_behind) "mutations" $(go_test) -timeout=20m ./test/mutation

.PHONY: test-simulation
test-simulation: ## Run the registry through SCHEDULES simulated schedules of faults.
	$(simulation)

.PHONY: test-mutation
test-mutation: ## See that the simulation notices when a protective step of the registry is missing.
	$(mutations) $(TESTFLAGS)

# Drawn from seeds, on a clock of their own: what comes out depends on these files alone, so
# make test runs them, whole, when one has changed.
simulated := go.mod $(shell find api internal test/mutation -name '*.go' -o -name mutations.yaml)
bin/simulation-$(SCHEDULES)-holds: $(simulated)
	$(simulation)
	@touch $@
bin/mutations-missed: $(simulated)
	$(mutations)
	@touch $@

tenants := $(go_test) -timeout=20m $(TESTFLAGS) ./test/tenants

.PHONY: test-tenants
test-tenants: test-tenants-untimed test-tenants-measured ## Attack the product with the rights of a tenant.

.PHONY: test-tenants-untimed
test-tenants-untimed: controlplane
	$(run) "tenants" $(tenants) -ginkgo.label-filter='!measured'

.PHONY: test-tenants-measured
test-tenants-measured: controlplane
	$(run) "tenants, measured" $(tenants) -ginkgo.label-filter=measured

.PHONY: test-plain
test-plain:
	$(run_behind) "tests" $(go_test_cached) -timeout=20m $(TESTFLAGS) \
		$(LONG_PACKAGES) $$(comm -23 <(go list $(PRODUCT_PACKAGES) | sort) <(go list $(RACE_PACKAGES) | sort))

# This depends on hack and api alone, and make test runs it when one of them has changed.
harness := $(run) "tests of the harness" $(go_test) -timeout=20m $(HARNESS_PACKAGES)

.PHONY: test-harness
test-harness: controlplane ## Test what starts, breaks and ends the programs that tests run.
	$(harness)
bin/harness-holds: go.mod $(shell find hack api -type f)
	$(harness)
	@touch $@

.PHONY: test-scaffolding
test-scaffolding: controlplane
	$(run) "tests of the rest" $(go_test) -timeout=20m $(TESTFLAGS) \
		$$(comm -23 <(go list ./hack/... ./test/... | sort) <(go list $(OWN_TARGETS) | sort))

.PHONY: test-abuse
test-abuse: ## Hold and flood what can be of the auth server's listeners, beside valid requests.
	$(run) "abuse" $(go_test_cached) -timeout=10m $(TESTFLAGS) ./test/abuse

.PHONY: test-gateways
test-gateways: test-gateways-table test-clients ## Send requests, good and bad, through real gateways, with the configurations of config/gateways.

# In the folder of a test go test shows what is printed, here a table, while it runs.
.PHONY: test-gateways-table
test-gateways-table: controlplane gateways
	$(run) "gateways" bash -c 'cd test/gateways && $(go_test) -timeout=20m $(TESTFLAGS)'

.PHONY: test-clients
test-clients: controlplane gateways
	$(run) "clients and attackers of gateways" bash -c 'cd test/gateways && $(go_test) -timeout=20m $(TESTFLAGS) $$(go list ./... | tail -n +2)'

faults := bash -c 'cd test/faults && $(go_test) -timeout=5h $(TESTFLAGS) -args "$$@"' faults

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
rotation := bash -c 'cd test/rotation && $(go_test) -timeout=1h -v $(TESTFLAGS) -args "$$@"' rotation

.PHONY: test-rotation-short
test-rotation-short: controlplane
	$(run) "rotations" $(rotation)

.PHONY: test-rotation
test-rotation: controlplane ## Rotate a key 50 times under 2,000 requests a second, from clients that learn of it a minute late.
	$(run) "50 rotations" $(rotation) -rotations=50 -rate=2000 -lag=60s -min=70s -pause=7s -idle=10s

.PHONY: test-model
test-model: bin/model-holds
bin/model-holds: $(wildcard test/model/*.pml) test/model/run.sh
	$(run_behind) "the core of the model of revocation" test/model/run.sh quick
	@touch $@

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (make test runs their seeds only).
	@hack/tools/fuzz.sh $(FUZZTIME) ./api/... ./internal/... ./webhook/... ./controllers/...

.PHONY: model
model: ## Check the model of revocation exhaustively (docs/revocation.md); needs spin. MODEL=quick checks the core of it.
	$(run) "model of revocation" test/model/run.sh $(MODEL)

.PHONY: bench-lifecycle
bench-lifecycle: controlplane ## Measure the life of keys; BENCHFLAGS=-help shows what can be set.
	@go run ./hack/bench lifecycle $(BENCHFLAGS)

.PHONY: bench-flood
bench-flood: controlplane ## Measure what ten times as much junk does to valid requests; BENCHFLAGS=-help shows what can be set.
	@go run ./hack/bench flood $(BENCHFLAGS)

# CGROUP is one whose children may have limits, to be made by root; on cgroup v2 its
# cgroup.subtree_control has to name memory.
.PHONY: bench-memory
bench-memory: controlplane ## Store 2,000 of the largest APIKeys that are accepted, beside programs in cgroups of 256 MiB below CGROUP.
	@test -n "$(CGROUP)" || { echo "CGROUP is not set; give the folder of a cgroup that has a memory controller" >&2; exit 2; }
	@cd test/tenants && go test -count=1 -timeout=2h -ginkgo.focus='however large' $(TESTFLAGS) -args -large.count=2000 -large.cgroup=$(CGROUP)

.PHONY: demo
demo: programs-demo controlplane ## Show the life of a key; DEMO=check ends after it, and fails if anything was not as it should be.
	@go build -o bin/demo ./hack/demo
	@bin/demo $(if $(filter check,$(DEMO)),-check)

##@ Tools

# What is no Go module is installed where that is possible, and otherwise named, before
# anything else is done.
.PHONY: programs-demo programs-test
programs-demo programs-test: programs-%: install-%
	$(if $(shell hack/tools/programs.sh missing $*),$(error $(shell hack/tools/programs.sh missing $*)))

.PHONY: install-demo install-test
install-demo install-test: install-%:
	@hack/tools/programs.sh install $*

.PHONY: controlplane
controlplane: ## Bring about the Kubernetes binaries that tests need, in bin/k8s.
	$(run) "Kubernetes binaries" go run ./hack/build/cmd/build kubernetes >/dev/null

.PHONY: gateways
gateways: ## Bring about the gateways and clients that no distribution has, in bin/gateways.
	$(run) "Caddy, prom-label-proxy, Prometheus, OpenTelemetry Collector" go run ./hack/build/cmd/build gateways >/dev/null

.PHONY: tools
tools: $(CONTROLLER_GEN) $(CRD_REF_DOCS) $(GOLANGCI_LINT) $(GINKGO) ## Build the tools pinned in hack/tools/go.mod.

# Not by hack/build, which does not compile while what is to be generated is behind api/.
$(CONTROLLER_GEN): hack/tools/go.mod hack/tools/go.sum
	$(run) "build controller-gen" go build -C hack/tools -o $(CURDIR)/$@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(CRD_REF_DOCS): hack/tools/go.mod hack/tools/go.sum
	$(run) "build crd-ref-docs" go build -C hack/tools -o $(CURDIR)/$@ github.com/elastic/crd-ref-docs

$(GOLANGCI_LINT): hack/tools/go.mod hack/tools/go.sum hack/tools/golangci-lint.go
	$(run) "build golangci-lint" go run ./hack/build/cmd/build tool $@ .

$(GINKGO): hack/tools/go.mod hack/tools/go.sum
	$(run) "build ginkgo" go run ./hack/build/cmd/build tool $@ github.com/onsi/ginkgo/v2/ginkgo
