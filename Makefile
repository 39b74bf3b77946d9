# Each target sets up what it needs: Python 3.11 with pip is all that must be there.
PYTHON := $(shell python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo python3)
BIN := .venv/bin
READY := .venv/ready

.PHONY: screen test bench lint clean

screen: $(READY)
	$(BIN)/activelearn screen --resume

test: export OMP_NUM_THREADS = 1
test: $(READY)
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest --nbmake notebooks

bench: $(READY)
	for script in tests/benchmarks/bench_*.py; do $(BIN)/python -m tests.benchmarks.$$(basename $$script .py) || exit 1; done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml constraints.txt
	@echo 'Setting up .venv, once; this takes a few minutes.'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
