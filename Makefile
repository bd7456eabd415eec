# Everything a fresh machine with git, make and Python 3.11+ needs; uv comes by pip where it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
READY := $(VENV)/.ready

# Compiled once, not at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test acceptance lint bench soak screenshots lock clean

setup: $(READY)

$(READY): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || echo "Creating $(VENV) with $(PYTHON) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@command -v $(UV) >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "Installing the locked packages (15 seconds, more without a cache) ..."
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@echo "Ready. Activate it once per shell: source $(VENV)/bin/activate"
	@touch $@

# `make demo ARGS=--keep` leaves the dashboard open.
demo: $(READY)
	@$(BIN)/autoreview demo $(ARGS)

# Two for each of two cores, for the tests wait much; one that is done takes tests of another's, so that none is last
# for long.
test: $(READY)
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		echo "There is no Chromium: the dashboard's tests in a browser are skipped (apt-get install chromium)."
	@$(BIN)/python -m pytest -n 4 --dist worksteal

# What takes minutes each: a soak, a rolling upgrade under load, bad days by the dozen (`BAD_DAYS=100` tries others).
acceptance: $(READY)
	@$(BIN)/python -m pytest tests/acceptance

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/autoreview check rules
	$(BIN)/autoreview check --strict rules/attention-checks.yaml
	$(BIN)/autoreview check --strict rules/two-part-task.yaml
	$(BIN)/autoreview test rules --require-coverage

bench: $(READY)
	@$(BIN)/python -m tests.bench

# Minutes of real processes being killed; `make soak ARGS="--minutes 10 --kills 60 --through all"` also takes the
# database through failovers, and puts PgBouncer before it where that is installed.
soak: $(READY)
	@$(BIN)/python -m tests.soak $(ARGS)

# The pictures in docs/images, from the dashboard of a rehearsal; needs Chromium.
screenshots: $(READY)
	@$(BIN)/python -m tests.screenshots

# After changing dependencies in pyproject.toml.
lock: $(READY)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra embedded --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) .autoreview
