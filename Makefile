# make run: the whole program. make test: all checks and tests. Both set up what they need.

PYTHON ?= python3
BIN = .venv/bin

# Each process of the tests compiles everything again where the bytecode is not kept.
test: export PYTHONDONTWRITEBYTECODE =

.PHONY: run test check format translations screenshots vendor lock bench fuzz clean

run: .venv/run
	@exec $(BIN)/python -m wechat_bot

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
	@$(BIN)/pip install -qq -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.run $(TARGET) $(SECONDS)

# Exact versions of everything, for every platform, without the name of any host.
lock: .venv/dev
	$(BIN)/uv pip compile --all-extras --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --upgrade --quiet --output-file constraints.txt pyproject.toml

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: install it, or name it, e.g. make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The module venv is missing: apt install python3-venv"; exit 1; }

.venv/run: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what the program needs into .venv ..."
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[postgres,mysql,redis,metrics]'
	@touch $@

.venv/dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what the tests need into .venv ..."
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch .venv/run $@
