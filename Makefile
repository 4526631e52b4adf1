# `make` alone lists what there is. Everything runs in .venv, which is made on the first use and again whenever
# requirements.lock or pyproject.toml change.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed
WORKERS = $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) # many tests wait for other processes
IN_BROWSER := tests/analysis/page/test_in_browser.py
# Seconds that a test may take on a busy machine; then it fails, and the next one starts
TEST_S = 300
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --timeout $(TEST_S) --timeout-method signal
SIDE_BY_SIDE = --numprocesses $(WORKERS) --maxprocesses 8 --dist worksteal --ignore=tests/launch/slurm --ignore=$(IN_BROWSER)

.DEFAULT_GOAL := help
.PHONY: help setup run test test-quick test-slow test-slurm test-page lint format bench bench-check ladder figures wheel clean

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## Install the locked packages and marlpipe itself into .venv

run: ARGS = -m algo=qpro,wqmix,qmix env=cartpole seed=0,1,2
run: $(INSTALLED) ## Train QPro, WQMIX and QMIX, three seeds each; or what you like: make run ARGS="algo=lomaq seed=1"
	$(BIN)/python -m marlpipe $(ARGS)

test: $(INSTALLED) ## Style, types and all tests that are quick; some of them: make test ARGS="-k cartpole"
	@$(MAKE) --no-print-directory --jobs 2 lint test-quick

test-quick: ARGS =
test-quick: $(INSTALLED)
	$(PYTEST) $(SIDE_BY_SIDE) -m "not slow" $(ARGS)

test-slow: ARGS =
test-slow: TEST_S = 900
test-slow: $(INSTALLED) ## The tests that train for long
	$(PYTEST) $(SIDE_BY_SIDE) -m slow $(ARGS)

test-slurm: ARGS =
test-slurm: TEST_S = 900
test-slurm: $(INSTALLED) ## The tests on a real Slurm, which they start and stop; installs Slurm (Debian, Ubuntu; may ask for sudo)
	@bash tests/support/debian_packages.sh "make $@" slurmctld slurmd slurm-client munge -- munged slurmctld slurmd sbatch
	$(PYTEST) tests/launch/slurm $(ARGS)

test-page: ARGS =
test-page: $(INSTALLED) ## The page of `marlpipe compare` in a real Chromium; installs one (Debian; may ask for sudo)
	@bash tests/support/debian_packages.sh "make $@" chromium-headless-shell -- \
		'chromium-headless-shell|chromium|chromium-browser|google-chrome'
	$(PYTEST) $(IN_BROWSER) $(ARGS)

lint: $(INSTALLED) ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## Put the code into the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: ARGS =
bench: $(INSTALLED) ## Time all that has to be fast, into benchmarks/results/; some: make bench ARGS="--threads 1 --only acting updates"
	$(BIN)/python -m benchmarks $(ARGS)

bench-check: ARGS =
bench-check: $(INSTALLED) ## Time it again, or take a file: make bench-check ARGS=FILE; what got slower than the last committed results?
	$(BIN)/python -m benchmarks.check $(ARGS)

ladder: $(INSTALLED) ## Every method on every one-step game, ten seeds each; one table, and whether it is as theory has it; over an hour
	$(BIN)/python -m marlpipe -m +experiment=games/ladder paths.runs=multirun/ladder logger=none
	$(BIN)/python -m marlpipe -m +experiment=games/ladder_local paths.runs=multirun/ladder logger=none
	$(BIN)/python -m marlpipe report multirun/ladder
	MARLPIPE_LADDER=multirun/ladder/report/games.csv $(BIN)/python -m pytest --quiet tests/learning/test_ladder.py

# In this order, because arms that two of them have get their name from the first
FIGURES = lomaq_fig5_cartpole lomaq_fig5_navigation qpro_fig1_predator_prey $(foreach part,fig9_kappa partitions team_reward \
	soft gcn,lomaq_$(part)_cartpole lomaq_$(part)_navigation) qpro_fig4_ablations qpro_fig5_smallest_weight qpro_weights \
	qpro_unrestricted
figures: ARGS =
figures: $(INSTALLED) ## The papers' learning curves, five seeds each; hours, resumes; some: make figures FIGURES=qpro_weights
	for name in $(FIGURES); do $(BIN)/python -m marlpipe -m +experiment=fast/$$name paths.runs=multirun/figures logger=none \
		$(ARGS) || exit; done
	$(BIN)/python -m marlpipe figures multirun/figures

wheel: $(INSTALLED) ## Build dist/marlpipe-….whl
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove .venv, caches and builds; what you trained stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'marlpipe needs Python 3.11 or later with its venv module, and found none$(if $(PYTHON), in "$(PYTHON)").'; \
		echo '  Debian and Ubuntu: sudo apt install python3-venv; macOS: brew install python; any system: python.org'; \
		echo '  If it has a name or place of its own: make PYTHON=/path/to/python3.12 setup'; \
		exit 1; } >&2
	@echo 'Setting up .venv with $(PYTHON), once: $(shell grep -c == requirements.lock) packages, a dot for each. Minutes on a slow line.'
	@$(PYTHON) -m venv .venv
	@bash -o pipefail -c "$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.lock | \
		while read -r word rest; do case \$$word in Collecting|Processing|Requirement) printf . ;; Installing) printf ' installing' ;; esac; done"
	@echo
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo 'Ready: make run, make test, or .venv/bin/python -m marlpipe --help'
