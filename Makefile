# Everything a fresh machine with git, make and Python 3.11+ needs; uv comes by pip where it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
READY := $(VENV)/.ready

# Compiled once, not at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint bench soak lock clean

setup: $(READY)

$(READY): requirements-dev.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@command -v $(UV) >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: $(READY)
	@$(BIN)/autoreview demo

# Several files at once: the tests wait for conditions more than they work.
test: $(READY)
	@$(BIN)/python -m pytest -n 3 --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/autoreview check --strict rules
	$(BIN)/autoreview test rules --require-coverage

bench: $(READY)
	@$(BIN)/python -m tests.bench

# Minutes of real processes being killed; `make soak ARGS="--minutes 10 --kills 60 --through all"` also takes the
# database through failovers, and puts PgBouncer before it where that is installed.
soak: $(READY)
	@$(BIN)/python -m tests.soak $(ARGS)

# After changing dependencies in pyproject.toml.
lock: $(READY)
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra embedded --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) .autoreview
