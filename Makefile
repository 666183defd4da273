# Two commands on a fresh machine: `make run` and `make test`. Needs git, make and Python 3.11 or newer.
# make run PYTHON=python3.13 makes .venv again if it has another Python; without it the one in .venv stays.
PYTHON ?=
BIN := .venv/bin

.PHONY: environment run stop test lint format bench chaos fuzz docs site site-generator traces-libraries lock update sbom audit clean

environment:
	@$(or $(PYTHON),python3) stack/environment.py $(if $(PYTHON),--python-named) .venv requirements-dev.txt

run: environment
	@exec $(BIN)/python -m stack

stop: environment
	@$(BIN)/python -m stack stop

test: environment
	@$(MAKE) --no-print-directory site-generator
	@$(BIN)/python -m tests.browser
	@$(BIN)/python -m tests.docs.redis_tools
	@$(BIN)/python -m tests.prometheus
	@$(MAKE) --no-print-directory traces-libraries
	$(BIN)/python -m pytest

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: environment
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: environment
	$(BIN)/python -m bench

chaos: environment
	$(BIN)/python -m chaos

fuzz: environment
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.txt
	$(BIN)/python fuzz/fuzz_payload.py -max_total_time=60 fuzz/corpus

docs: environment
	@$(MAKE) --no-print-directory traces-libraries
	$(BIN)/python -m docs.generate

site: environment
	@$(MAKE) --no-print-directory site-generator
	$(BIN)/python -m docs.site

site-generator: environment
	@$(BIN)/python -c "import zensical" 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-site.txt

# Beside the environment, not in it: wherever they are installed, every process imports them.
traces-libraries: environment
	@test -d .venv/traces/opentelemetry || $(BIN)/uv pip install --quiet --python $(BIN)/python --target .venv/traces --require-hashes -r requirements-traces.txt

# One lock for every Python from 3.11.0 on and for every platform: what only some of them need has a marker.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

lock: environment
	$(LOCK) -o requirements.txt requirements.in
	$(LOCK) -c requirements.txt -o requirements-dev.txt requirements-dev.in
	$(LOCK) -o requirements-fuzz.txt requirements-fuzz.in
	$(LOCK) -c requirements-dev.txt -o requirements-site.txt requirements-site.in
	$(LOCK) -c requirements.txt -o requirements-traces.txt requirements-traces.in

# The newest releases that the short lists allow, installed; then `make test`.
update: environment
	@$(MAKE) --no-print-directory lock LOCK="$(LOCK) --upgrade"
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements-dev.txt
	$(BIN)/python -m docs.generate

sbom: environment
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements --output-reproducible --output-file build/sbom.cdx.json requirements.txt
	$(BIN)/cyclonedx-py requirements --output-reproducible --output-file build/sbom-traces.cdx.json requirements-traces.txt

# Asks the network for known faults, so it is no part of `lint`.
audit: environment
	$(BIN)/uvx pip-audit --disable-pip --require-hashes -r requirements.txt -r requirements-traces.txt

clean:
	rm -rf .venv var build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
