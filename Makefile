# The commands of BHDS; `make` alone lists them. All set-up is done on the way.

# The interpreter that makes .venv: 3.11 or later; default: the newest found.
PYTHON ?=
# no: as root too, install no package for the whole machine; default: yes.
SYSTEM_INSTALL ?= yes
# Where the demo puts its data, and how many jobs it runs at once.
DEMO_DIR ?= demo_data
CORES ?= $(shell nproc)
# How many workflow tests run at once: they wait for servers and retries in between.
WORKERS ?= $(shell expr $(CORES) + 1)
# How long a soak attacks, from which seed (default: any) and in which parts (all).
SECONDS ?= 60
SEED ?=
PARTS ?=
# Which folders or modules `make mutants` changes.
MUTATED ?= bhds/core/timegrid.py bhds/bars bhds/quality bhds/parse bhds/backfill
# More arguments for pytest: make unit PYTEST_ARGS="-k gaps"
PYTEST_ARGS ?=
# How many examples each property test draws; `make test` draws more.
EXAMPLES ?= 30

export PYTHON SYSTEM_INSTALL DEMO_DIR CORES
# Jobs find aria2c and snakemake as the user of an activated .venv would.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

# Every start of Snakemake, and of each of its jobs, would compile 30 MB of Python. The
# set-up is told of it: what is run without make finds all compiled.
unexport PYTHONDONTWRITEBYTECODE
SETUP := PYTHONDONTWRITEBYTECODE=$(PYTHONDONTWRITEBYTECODE) envs/setup.sh

BIN := .venv/bin
# Warnings are errors; all are shown.
SPHINX := --fail-on-warning --keep-going --quiet -d build/doctrees

# One a line; they run at once, the longest first.
define CHECKS
mypy
snakemake --lint --config offline=true data_dir=build/lint
snakefmt --check Snakefile rules workflow
python docs/prose.py
lint-imports
ruff check .
ruff format --check .
endef
# Run a command, and print what it said only if it fails.
QUIETLY := said=$$({} 2>&1) && echo "{}: passed" || { echo "{}: failed"; echo "$$said"; exit 1; }
export CHECKS

.DEFAULT_GOAL := help
# Prerequisites are steps, in this order, whatever -j says.
.NOTPARALLEL:
.PHONY: help setup setup-dev demo test check docs docs-links reference unit workflow-tests \
	soak test-cluster format screenshots bench-plan mutants clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv with BHDS installed, and see that there is an aria2c
	$(SETUP)

setup-dev: ## The same, with the tools of check and test
	$(SETUP) dev

demo: setup ## Build results from the sandbox exchange in DEMO_DIR (demo_data) on CORES (all)
	$(BIN)/python -m bhds.demo

test: EXAMPLES := 100
test: check docs unit workflow-tests ## Run every check and every test

check: setup-dev ## Check format, lint, types, layers and words of code, rules and pages
	@printf '%s\n' "$$CHECKS" | xargs -P $(CORES) -I {} sh -c '$(QUIETLY)'

docs: setup-dev ## Build the documentation in build/docs, and check the links within it
	$(BIN)/sphinx-build $(SPHINX) -b html docs build/docs

docs-links: setup-dev ## Ask whether the pages that the documentation links to are there (internet)
	$(BIN)/sphinx-build $(SPHINX) -b linkcheck docs build/links

reference: setup-dev ## Write the parts of the documentation that the code knows anew
	$(BIN)/python docs/generate.py
	$(BIN)/python -m bhds.cli.reference docs/cli.md

unit: setup-dev ## Run the unit tests
	EXAMPLES=$(EXAMPLES) $(BIN)/pytest tests/unit -n auto --dist loadfile $(PYTEST_ARGS)

workflow-tests: setup-dev ## Run Snakemake on the sandbox exchange
	$(BIN)/pytest tests/workflow -n $(WORKERS) --dist loadscope $(PYTEST_ARGS)

soak: setup-dev ## Attack builds and readers for SECONDS (60), and count what is lost
	$(BIN)/python -m tests.soak --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) \
		$(if $(PARTS),--parts $(PARTS))

test-cluster: setup-dev ## Build on a Slurm of this machine's own (root, Debian), if there can be one
	@tests/cluster/run.sh $(PYTEST_ARGS)

format: setup-dev ## Format code and rules, and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile rules workflow

screenshots: setup-dev ## Take the pictures of the documents from the demo's report
	$(BIN)/python -m tests.screenshots $(DEMO_DIR)/reports/quality.html docs/images

bench-plan: setup ## Measure how long planning takes
	$(BIN)/python benchmarks/plan.py

mutants: setup-dev ## Count the mutants of MUTATED that unit tests catch, from SEED (1)
	$(BIN)/python benchmarks/mutants.py --seed $(or $(SEED),1) $(MUTATED)

clean: ## Remove caches and build artefacts; never data, logs or .venv
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find bhds scripts tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
