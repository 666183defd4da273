# Two commands on a fresh machine: `make run` and `make test`. Needs git, make and Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run stop test lint format bench chaos fuzz docs lock clean

.venv/installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another: make run PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what requirements-dev.txt names …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: .venv/installed
	@exec $(BIN)/python -m stack

stop: .venv/installed
	@$(BIN)/python -m stack stop

test: .venv/installed
	@$(BIN)/python -m tests.browser
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed
	$(BIN)/python -m bench

chaos: .venv/installed
	$(BIN)/python -m chaos

fuzz: .venv/installed
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.txt
	$(BIN)/python fuzz/fuzz_payload.py -max_total_time=60 fuzz/corpus

docs: .venv/installed
	$(BIN)/python -m docs.generate

lock: .venv/installed
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-header -o requirements.txt requirements.in
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links --no-header -o requirements-dev.txt requirements-dev.in

clean:
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache .hypothesis
