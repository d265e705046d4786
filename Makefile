# make run: the whole program. make test: all checks and tests. Both set up what they need.
# make install: the program alone, for a server (docs/deployment.md).

PYTHON ?= python3
BIN = .venv/bin

# Each process of the tests compiles everything again where the bytecode is not kept.
test: export PYTHONDONTWRITEBYTECODE =

# What pip installs has the hashes of a list. The project itself is installed beside it, with what the list has.
PIP = $(BIN)/pip install -qq --disable-pip-version-check
define install
@$(PIP) --require-hashes -r $(1)
@$(PIP) --no-deps --no-build-isolation -e .
endef

.PHONY: run install test check format translations screenshots vendor lock sbom bench fuzz clean

run: .venv/run
	@exec $(BIN)/python -m wechat_bot

install: .venv/run
	@$(BIN)/python -m compileall -q config.py wsgi.py migrations wechat_bot

test: check
	$(BIN)/pytest -n auto --dist worksteal

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Collects the words of the pages, keeps their translations, and compiles them.
translations: .venv/dev
	@mkdir -p build
	$(BIN)/pybabel -q extract -F pyproject.toml -k lazy_gettext --add-location file -o build/messages.pot wechat_bot
	$(BIN)/pybabel -q update -i build/messages.pot -d wechat_bot/translations --no-wrap --ignore-obsolete \
		--ignore-pot-creation-date --no-fuzzy-matching
	$(BIN)/pybabel -q compile -d wechat_bot/translations

# The pictures of the console in docs/images, from the demo account.
screenshots: .venv/dev
	$(BIN)/python docs/screenshots.py

# Front-end files of other projects, as their manifests say. Needs npm.
vendor: .venv/dev
	$(BIN)/python scripts/vendor.py

bench: .venv/dev
	benchmarks/run

# Looks for bytes that break a promise, in the targets parse, decrypt and query: make fuzz TARGET=query SECONDS=60.
fuzz: TARGET ?= parse
fuzz: SECONDS ?= 600
fuzz: .venv/dev
	@$(PIP) 'atheris>=3.0'
	$(BIN)/python -m tests.fuzz.run $(TARGET) $(SECONDS)

# Exact versions and hashes, for every platform, without the name of any host: of everything, and of what the
# program needs, with the build backend of the project.
LOCK = echo hatchling | $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
	--no-annotate --no-emit-index-url --no-emit-find-links --quiet pyproject.toml -
lock: .venv/dev
	$(LOCK) --extra dev --upgrade --output-file constraints.txt
	$(LOCK) --extra postgres --extra mysql --extra redis --extra metrics --extra s3 \
		--constraint constraints.txt --upgrade --output-file requirements.txt

# The software bill of materials of the program: its packages with versions and hashes.
sbom: .venv/dev
	@mkdir -p build
	$(BIN)/python -W ignore::UserWarning -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom.json requirements.txt

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: install it, or name it, e.g. make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The module venv is missing: apt install python3-venv"; exit 1; }

.venv/run: pyproject.toml requirements.txt | .venv/bin/python
	@echo "Installing what the program needs into .venv ..."
	$(call install,requirements.txt)
	@touch $@

.venv/dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what the tests need into .venv ..."
	$(call install,constraints.txt)
	@touch .venv/run $@
