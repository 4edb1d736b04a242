# Everything happens in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup quickstart test soak lint clean

setup: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,offline,tune,postgresql]'
	touch $@

quickstart: setup
	$(BIN)/lipbench run quickstart
	$(BIN)/lipbench cost quickstart
	$(BIN)/lipbench report runs/quickstart
	@echo "MLflow: $(BIN)/mlflow ui --backend-store-uri sqlite:///runs/mlflow.db"

test: lint
	$(BIN)/python -m pytest -n auto

# The tests that kill, damage and fuzz, with 20 times as many random cases as `make test` has.
soak: setup
	$(BIN)/python -m pytest -q -s --soak 20 tests/lipbench/cli \
	  tests/lipbench/runs \
	  -k "fuzz or damage or checkpoints or killed"

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
