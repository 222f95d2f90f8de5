# `make` alone lists the targets. Anything longer than a few lines is a script in scripts/.
# Only go, cargo, git, make and a C compiler are needed; pinned tools are built into .tools/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export GOFLAGS := -buildvcs=false

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^##@/ { print "\n" substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Build and run

.PHONY: build build-go build-rust
build: build-go build-rust ## Build everything that runs into bin/
build-go: ## Build the server, the command line and the Go examples into bin/
	@scripts/build.sh go
build-rust: ## Build the Rust examples into bin/
	@scripts/build.sh rust

.PHONY: run demo
run: build-go ## Run a registry server
	@bin/muster server
demo: build ## Run a server and some services that find each other
	@bin/demo

##@ Test

.PHONY: test test-go test-rust test-crash test-sim test-e2e conformance mutants differential fuzz
test: ## Run every test and print how many passed and failed
	@scripts/test.sh
test-go: ## Run the Go tests with the race detector
	@scripts/test.sh go
test-rust: ## Run the Rust tests
	@scripts/test.sh rust
test-crash: ## Kill the store again and again and look for lost writes (TestKill9...)
	@scripts/test.sh crash
test-sim: ## Run the simulations (TestSim...)
	@scripts/test.sh sim
test-e2e: ## Test the built programs as users run them (TestE2E...)
	@scripts/test.sh e2e
conformance: ## Play the scenarios in both languages and compare what they show
	@scripts/test.sh conformance
mutants: ## Change the Go client's rules one by one and see whether the vectors notice
	@scripts/test.sh mutants
differential: ## Compare both clients' rules on random inputs for TIME (60s; TIME=1h)
	@scripts/test.sh differential
fuzz: ## Fuzz every target for FUZZTIME each (3s unless told)
	@scripts/test.sh fuzz

##@ Measure

.PHONY: bench bench-quick bench-micro
bench: ## Measure the server beside gRPC itself and etcd (about 12 minutes)
	@scripts/bench.sh full
bench-quick: ## The same, small (within a minute once built)
	@scripts/bench.sh quick
bench-micro: ## Run the benchmarks of single functions
	@scripts/bench-micro.sh

##@ Generate and check

.PHONY: generate check check-generate check-breaking release-image lint fmt tidy audit
generate: ## Make the generated code from the .proto files
	@scripts/generate.sh
check: ## Run every check that needs no test: format, lint, generated code, licences...
	@scripts/check.sh
check-generate: ## Check that the generated code is up to date
	@scripts/check.sh generated
check-breaking: ## Check that the protocol is compatible with the last release
	@scripts/check.sh buf-breaking
release-image: ## Record the protocol as released; later checks compare with it
	@scripts/release-image.sh
lint: ## Run the linters of both languages and of the .proto files
	@scripts/check.sh golangci-lint clippy buf-lint
fmt: ## Format all code
	@scripts/fmt.sh
tidy: ## Make every go.mod list exactly what is used
	@scripts/tidy.sh
audit: ## Look for known vulnerabilities (needs the network)
	@scripts/audit.sh

##@ Other

.PHONY: tools clean
tools: ## Build the pinned tools into .tools/ (done by itself when needed)
	@scripts/tools.sh
clean: ## Remove what the build made, but not the tools
	rm -rf bin out .demo target
